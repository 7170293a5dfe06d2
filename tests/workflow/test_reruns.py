"""What a change runs again, planned on finished results: what depends on it, and nothing else."""

import copy
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from snakemake_runs import ROOT, planned_jobs, run_snakemake
from tiny_study import ARCHITECTURE, CONFIG, changed

from degu.baselines import BASELINES
from degu.study.config import validate
from degu.study.parts import part_files
from degu.study.study import Study

NOTHING = "Nothing to be done"


@pytest.fixture
def checkout(tmp_path):
    """A copy of the workflow and the package, to be edited."""
    checkout = tmp_path / "checkout"
    for name in ("config", "envs", "profiles", "rules", "src", "workflow"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "Snakefile", checkout / "Snakefile")
    return checkout


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, path
    path.write_text(text.replace(old, new))


# Root may write what is protected; without that privilege a plan would end in an error.
UNPRIVILEGED = (
    ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    if os.getuid() == 0 and shutil.which("setpriv")
    else ()
)


def plan(folder, config=CONFIG, prefix=UNPRIVILEGED, **options):
    """The jobs that are planned for a config, without root privilege; none if nothing is left."""
    done = run_snakemake(folder, config, "--dry-run", "--quiet", "rules", prefix=prefix, **options)
    return {} if NOTHING in done.stdout else planned_jobs(done.stdout)


def test_finished_results_stay_finished(folder):
    assert plan(folder) == {}
    assert plan(folder, prefix=()) == {}


@pytest.mark.skipif(os.getuid() == 0 and not UNPRIVILEGED, reason="setpriv is not installed")
def test_the_plans_of_this_file_are_made_without_root_privilege(tmp_path):
    locked = tmp_path / "locked"
    locked.touch(mode=0o444)
    code = f"import os; raise SystemExit(os.access({str(locked)!r}, os.W_OK))"
    assert subprocess.run([*UNPRIVILEGED, sys.executable, "-c", code]).returncode == 0


def test_comments_captions_and_styles_retrain_nothing(folder, checkout):
    scripts = checkout / "workflow/scripts"
    for name in ("train", "finetune", "predict", "predict_shift"):
        (scripts / f"{name}.py").write_text(f"# A comment.\n{(scripts / f'{name}.py').read_text()}")
    for path in scripts.glob("*.py"):
        os.utime(path)
    (checkout / "workflow/report/performance.rst").write_text("Another caption.\n")
    edit(checkout / "src/degu/plots/style.py", '"font.size": 8', '"font.size": 9')
    assert plan(folder, root=checkout) == {}


def test_one_member_from_another_seed(folder):
    """Teacher 3 is in the ensemble of four alone, whose student it makes again."""
    model = "results/tiny/standard/downsample_1/teachers/3_Small.h5"
    jobs = plan(folder, changed(reseed=[model], attribution={"methods": []}))
    assert jobs["train_teacher"] == jobs["predict_teacher"] == 1
    assert jobs["aggregate_ensemble"] == jobs["distillation_data"] == jobs["train_student"] == 1
    assert jobs["label_copies"] == 1
    assert jobs["predict_copies"] == 4
    assert not {"train_teacher_evoaug", "train_dynamic_student", "finetune_student"} & set(jobs)


def test_reseeding_what_no_study_trains_is_a_sentence(folder):
    done = run_snakemake(folder, changed(reseed=["teachers/9.h5"]), "--dry-run", check=False)
    assert done.returncode != 0
    assert (
        done.stdout.rstrip()
        .splitlines()[-1]
        .startswith("error in the config: reseed: teachers/9.h5 is no model that this study trains")
    )


def test_a_raised_version_of_training_retrains(folder, checkout):
    edit(checkout / "src/degu/io/versions.py", '"train": 1', '"train": 2')
    jobs = plan(folder, root=checkout)
    assert jobs["train_teacher"] == 6
    assert jobs["train_teacher_evoaug"] == jobs["finetune_teacher"] == 2
    assert jobs["train_student"] == 3
    assert jobs["train_student_evoaug"] == jobs["finetune_student"] == 1
    assert jobs["train_dynamic_student"] == jobs["finetune_dynamic_student"] == 1
    assert "ingest" not in jobs
    assert "subset" not in jobs
    assert "shift_sequences" not in jobs


def test_a_raised_version_of_predictions_labels_copies_again(folder, checkout):
    """Although what was predicted of them is gone."""
    edit(checkout / "src/degu/io/versions.py", '"predict": 1', '"predict": 2')
    jobs = plan(folder, root=checkout)
    assert jobs["predict_teacher"] == 8
    assert jobs["predict_copies"] == 10
    assert jobs["label_copies"] == 4
    assert "train_teacher" not in jobs


def test_a_new_metric_scores_and_draws_again_and_makes_nothing_else(folder, checkout):
    with (checkout / "src/degu/metrics.py").open("a") as file:
        file.write('\n\nMETRICS["MAE"] = lambda y, pred: np.abs(y - pred).mean(axis=0)\n')
    assert plan(folder, root=checkout) == SCORED


def test_a_raised_version_of_scoring_is_no_other(folder, checkout):
    edit(checkout / "src/degu/io/versions.py", '"score": 1', '"score": 2')
    assert plan(folder, root=checkout) == SCORED


def test_a_new_figure_is_drawn_and_nothing_else(folder, checkout):
    line = 'register(Figure("another", "as before", _TEST, "summary", "all", %s))'
    ways = 'draw="degu.plots.performance:draw", caption="../workflow/report/performance.rst"'
    with (checkout / "src/degu/plots/catalogue.py").open("a") as file:
        file.write(f"\n\n{line % ways}\n")
    assert plan(folder, root=checkout) == {"plot_another": 1, "all": 1}


def test_a_new_baseline_trains_itself_alone(folder):
    """One of each pool, registered from outside, with a metric, a figure and a method besides."""
    extensions = ("env", f"PYTHONPATH={ROOT / 'tests/workflow/extensions'}:{ROOT / 'src'}")
    config = changed(baselines=["average"])
    jobs = plan(folder, config, prefix=(*UNPRIVILEGED, *extensions))
    starts = ("train", "finetune", "predict", "aggregate", "distill", "attribut", "ingest", "sub")
    assert {name: n for name, n in jobs.items() if name.startswith(starts)} == {
        # Two of each pool, of which one is augmented.
        "train_average": 4,
        "train_average_evoaug": 2,
        "finetune_average": 2,
        "predict_average": 6,
        "predict_shift_average": 6,
    }
    assert jobs["plot_bias"] == 1
    assert SCORED.items() <= jobs.items()


def test_built_in_baselines_train_themselves_alone(folder):
    config = changed(
        baselines=list(BASELINES), mixed_architectures=["compact", "own_models.small:build"]
    )
    jobs = plan(folder, config)
    starts = ("train", "finetune", "predict", "aggregate", "distill", "label", "attribut", "sub")
    made = {name: n for name, n in jobs.items() if name.startswith(starts)}
    likelihoods = ("beta_nll", "laplace", "cauchy", "evidential")
    # Of the pools one has four teachers and two have two, of which one is augmented.
    expected = {
        **{f"train_{name}": 2 for name in likelihoods},
        **{"train_heteroscedastic": 6, "train_mixed": 6, "train_mean_student": 3},
    }
    augmented = {
        **dict.fromkeys((*likelihoods, "mean_student"), 1),
        **dict.fromkeys(("heteroscedastic", "mixed"), 2),
    }
    for name, n in augmented.items():
        expected |= {f"train_{name}_evoaug": n, f"finetune_{name}": n}
        expected |= dict.fromkeys(
            (f"predict_{name}", f"predict_shift_{name}"), expected[f"train_{name}"] + n
        )
    expected |= {"predict_mc_dropout": 3, "predict_shift_mc_dropout": 3}
    # The labels of copies are there, and what made them is gone.
    assert made == expected
    again = {name for name in SCORED if name in jobs and not name.startswith("plot_")}
    assert again == {"summarize", "all"}


@pytest.fixture(scope="module")
def mine(folder, tmp_path_factory):
    """A copy of the study that tests of this file change and mend."""
    return shutil.copytree(folder, tmp_path_factory.mktemp("mine") / "study", symlinks=True)


@contextmanager
def changed_file(path, text=None):
    """Another content of a file, or none, for a while; then it is as it was, its time included."""
    kept = path.with_name(f"{path.name}.kept")
    path.rename(kept)
    try:
        if text is not None:
            path.write_text(text)
        yield
    finally:
        kept.replace(path)


def test_every_file_of_a_study_is_missed(mine, monkeypatch):
    """All that is kept is asked for: Snakemake does not miss what only others are made from."""
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(mine)
    study = Study.from_config(validate(copy.deepcopy(CONFIG)))
    results = Path(study.layout.results)
    apart = {results / name for name in ("logs", "benchmarks")}
    files = {path for path in results.rglob("*") if path.is_file()}
    kept = {str(path) for path in files if not apart & {*path.parents}}
    assert set(part_files(study, "all")) == kept


@pytest.mark.parametrize(
    ("lost", "made"),
    [
        ("standard/downsample_1/students/n4/std/1_Small.h5", {"train_student": 1}),
        ("standard/downsample_0.5/teachers/2_predictions.h5", {"predict_teacher": 1}),
        ("evoaug/downsample_1/teachers/1_history_finetune.csv", {"finetune_teacher": 1}),
        (
            "standard/downsample_1/distillation/n2/copies.h5",
            {"predict_copies": 2, "label_copies": 1, "train_student": 1},
        ),
        ("subsets/downsample_0.5.h5", {"subset_sequences": 1}),
        ("standard/downsample_1/shift/n4-std/1_predictions.h5", {"predict_shift_student": 1}),
        (
            "standard/downsample_1/attribution/n4-std/avg_top12_Dev-std_saliency.npy",
            {"evaluate_attribution": 1},
        ),
        ("dataset.h5", {"ingest": 1, "subset": 3, "train_teacher": 6}),
    ],
)
def test_a_lost_file_is_made_again(mine, lost, made):
    """As is one that a failed job took with it: Snakemake deletes a job's old outputs."""
    with changed_file(mine / "results/tiny" / lost):
        jobs = plan(mine)
    assert made.items() <= jobs.items()
    assert jobs["all"] == 1
    if "train_teacher" not in made:
        assert "train_teacher" not in jobs


def test_an_edited_architecture_retrains_but_an_edited_comment_does_not(mine):
    path = mine / "own_models/small.py"
    with changed_file(path, f"# A comment.\n{ARCHITECTURE}"):
        assert plan(mine) == {}
    with changed_file(path, ARCHITECTURE.replace("Conv1D(32", "Conv1D(16")):
        jobs = plan(mine)
    assert jobs["train_teacher"] == 6
    assert jobs["train_student"] == 3
    assert "ingest" not in jobs


# What a new ensemble of the pool that has ensembles of two and of four brings with it.
SHIFTED = {"evaluate_shift": 1, "plot_shift": 1, "plot_shift_distribution": 1}
ENSEMBLE = {
    "recalibrate_student": 1,
    "score_uncertainty_arm": 1,
    "aggregate_ensemble": 1,
    "score_ensemble": 1,
    "distillation_data": 1,
    "label_copies": 1,
    "score_fidelity": 1,
    "train_student": 1,
    "predict_student": 1,
    "score_student": 1,
    "predict_shift_student": 1,
    "aggregate_shift": 1,
} | SHIFTED


def judged(arms):
    """Tables and figures about uncertainty, which those of one arm make anew for all."""
    names = ("reliability", "coverage", "width", "pit", "sparsification", "shift", "table")
    return {"summarize_uncertainty": 1} | {f"plot_uncertainty_{name}": arms for name in names}


# An ensemble's maps in tables and figures.
COMPARED = {
    "evaluate_attribution": 1,
    "plot_attribution": 1,
    "plot_attribution_bins": 1,
    "plot_attribution_scatter": 1,
    "plot_attribution_truth": 1,
    "plot_attribution_logos": 4,
}
MAPS = {"summarize_attribution": 1, "attribute_student": 2} | COMPARED
BOTH = {name: 2 * number for name, number in COMPARED.items()} | {"summarize_attribution": 1}
SUMMARY = {"summarize": 1, "plot_performance": 1, "all": 1}
SIZES = {"summarize_size_sweep": 1, "plot_performance_vs_size": 1, "plot_fidelity_vs_size": 1}
PROPORTIONS = {
    "summarize_downsampling": 1,
    "plot_performance_vs_proportion": 1,
    "plot_fidelity_vs_proportion": 1,
}
# What follows from performance tables that are made again.
SCORED = (
    {
        "score_teacher": 6,
        "score_teacher_evoaug": 2,
        "score_ensemble": 4,
        "score_student": 3,
        "score_student_evoaug": 1,
        "score_dynamic_student": 1,
        "score_fidelity": 4,
        "summarize_evoaug": 1,
        "plot_evoaug": 1,
        "summarize_dynamic_augmentation": 1,
        "plot_dynamic_augmentation": 1,
    }
    | SUMMARY
    | SIZES
    | PROPORTIONS
)

# What follows from other copies, or none, in a study without attribution maps.
TAUGHT = {
    "train_student": 3,
    "finetune_student": 1,
    "predict_student": 4,
    "score_student": 3,
    "score_student_evoaug": 1,
    "score_fidelity": 4,
    "recalibrate_student": 4,
    "score_uncertainty_arm": 4,
    "predict_shift_student": 4,
    "summarize_evoaug": 1,
    "plot_evoaug": 1,
    "summarize_dynamic_augmentation": 1,
    "plot_dynamic_augmentation": 1,
    **judged(4),
    **{name: 4 for name in SHIFTED},
    **SUMMARY,
    **SIZES,
    **PROPORTIONS,
}


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        (
            # Those that are there already, in other words.
            {"arms": [*CONFIG["arms"], {"augmentations": ["evoaug"], "ensemble_sizes": [2]}]},
            {},
        ),
        (
            # Within the members that exist.
            {"arms": [*CONFIG["arms"], {"ensemble_sizes": [3]}]},
            # The labels that others have are gone on with, and not made again.
            ENSEMBLE | {"predict_copies": 3} | judged(5) | SUMMARY | SIZES | MAPS,
        ),
        (
            # Beyond them.
            {"arms": [*CONFIG["arms"], {"ensemble_sizes": [6]}]},
            {"train_teacher": 2, "predict_teacher": 2, "score_teacher": 2}
            | {"predict_shift_teacher": 2, "predict_copies": 6}
            # The average over all teachers is another one.
            | {"attribute_teacher": 4, "average_attribution": 1, "attribution_distance": 6}
            | MAPS
            | ENSEMBLE
            | judged(5)
            | SUMMARY
            | SIZES,
        ),
        (
            # Of the plain students and of those with dynamic augmentation.
            {"student_training": {"epochs": 2, "learning_rate": 0.01}},
            {
                "train_student": 3,
                "train_student_evoaug": 1,
                "finetune_student": 1,
                "predict_student": 4,
                "score_student": 3,
                "score_student_evoaug": 1,
                "train_dynamic_student": 1,
                "finetune_dynamic_student": 1,
                "predict_dynamic_student": 1,
                "score_dynamic_student": 1,
                "score_fidelity": 4,
                "recalibrate_student": 4,
                "recalibrate_dynamic_student": 1,
                "score_uncertainty_arm": 4,
                "predict_shift_student": 4,
                "predict_shift_dynamic_student": 1,
                "summarize_evoaug": 1,
                "plot_evoaug": 1,
                "summarize_dynamic_augmentation": 1,
                "plot_dynamic_augmentation": 1,
                "attribute_student": 4,
            }
            | {name: 4 for name in SHIFTED}
            | judged(4)
            | BOTH
            | SUMMARY
            | SIZES
            | PROPORTIONS,
        ),
        (
            {"evoaug": {"per_batch": 2}},
            {
                "train_teacher_evoaug": 2,
                "finetune_teacher": 2,
                "predict_teacher": 2,
                "predict_copies": 2,
                "score_teacher_evoaug": 2,
                "train_student_evoaug": 1,
                "finetune_student": 1,
                "score_student_evoaug": 1,
                "predict_shift_teacher": 2,
                "summarize_evoaug": 1,
                "plot_evoaug": 1,
            }
            | {
                name: n
                for name, n in ENSEMBLE.items()
                if name not in ("train_student", "score_student")
            }
            | judged(4)
            | SUMMARY,
        ),
        (
            # Every teacher is asked anew, and plain students learn from it; dynamic ones and first
            # phases, which see no copies, stay.
            {"distillation": {"copies": 2}, "attribution": {"methods": []}},
            {"predict_copies": 10, "label_copies": 4} | TAUGHT,
        ),
        (
            {"distillation": {"copies": 0}, "attribution": {"methods": []}},
            TAUGHT,
        ),
        (
            # All students, and no teacher; another number among the parameters is the same.
            {
                "students": {**CONFIG["students"], "uncertainty_weight": {"std": 2, "logvar": 2}},
                "attribution": {"methods": []},
            },
            TAUGHT
            | {
                "train_student_evoaug": 1,
                "train_dynamic_student": 1,
                "finetune_dynamic_student": 1,
                "predict_dynamic_student": 1,
                "score_dynamic_student": 1,
                "recalibrate_dynamic_student": 1,
                "predict_shift_dynamic_student": 1,
            },
        ),
        # Of an augmentation that makes no copies.
        ({"distillation": {"parameters": {"insertion": {"max_length": 5}}}}, {}),
        # Of an augmentation that no arm draws.
        ({"evoaug": {"parameters": {"inversion": {"max_length": 30}}}}, {}),
        # What is the default anyway.
        ({"shift": {"copies": 2, "kinds": ["small", "moderate", "dinucleotide", "large"]}}, {}),
        (
            # Every model predicts the new sequences; none is trained.
            {"shift": {"copies": 3}},
            {
                "shift_sequences": 1,
                "predict_shift_teacher": 8,
                "predict_shift_student": 4,
                "predict_shift_dynamic_student": 1,
                "aggregate_shift": 4,
                "score_uncertainty_arm": 4,
            }
            | {name: 4 for name in SHIFTED}
            | judged(4)
            | SUMMARY,
        ),
        (
            # Of one of the two methods.
            {"attribution": {**CONFIG["attribution"], "references": 5}},
            {
                "attribute_teacher": 4,
                "attribute_student": 2,
                "average_attribution": 1,
                "attribution_distance": 4,
                "all": 1,
            }
            | BOTH,
        ),
        (
            {"attribution": {**CONFIG["attribution"], "logos": 1}},
            {"plot_attribution_logos": 8, "all": 1},
        ),
        (
            # One fewer, whose files stay.
            {"attribution": {**CONFIG["attribution"], "arms": [{"ensemble_sizes": [4]}]}},
            {"summarize_attribution": 1, "all": 1},
        ),
    ],
    ids=[
        "the same arms",
        "a size between",
        "a larger size",
        "students' learning rate",
        "augmentation",
        "fewer copies",
        "no copies",
        "weight of uncertainty heads",
        "an idle parameter of copies",
        "an idle parameter",
        "what is the default",
        "copies of shifted sequences",
        "shuffles",
        "logos",
        "fewer arms with maps",
    ],
)
def test_a_change_reruns_what_depends_on_it_and_nothing_else(folder, changes, jobs):
    assert plan(folder, changed(**changes)) == jobs
