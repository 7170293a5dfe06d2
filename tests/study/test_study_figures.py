"""Figures of a study: which there are, what they are drawn from, and one that is not built in."""

import copy
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import write_small_dataset
from matplotlib.image import imread
from snakemake_runs import run_snakemake
from tiny_study import CONFIG

from degu.io.files import write_csv
from degu.io.summary import tidy
from degu.plots.catalogue import FIGURES, Figure, registered
from degu.plots.series import SERIES, register, series_name
from degu.study import figures, parts
from degu.study.config import validate
from degu.study.kinds import STUDENT
from degu.study.study import Study


def study_of(**changes):
    config = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())
    return Study.from_config(validate({**config, **copy.deepcopy(changes)}))


@pytest.fixture(scope="module")
def tiny():
    return study_of(**{**CONFIG, "model": "deepstarr", "model_name": None})


UNCERTAINTY = {
    f"uncertainty_{name}"
    for name in ("reliability", "coverage", "width", "pit", "sparsification", "table")
}
STUDY = {"performance", *UNCERTAINTY}
SIZES = {"performance_vs_size", "fidelity_vs_size"}
PROPORTIONS = {"performance_vs_proportion", "fidelity_vs_proportion"}
SHIFT = {"shift", "shift_distribution", "uncertainty_shift"}
MAPS = {"attribution", "attribution_scatter", "attribution_logos"}
TABLE = {"source": "table", "path": "a.tsv", "sequence_column": "s", "split_column": "split"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, STUDY | SHIFT | MAPS | {"attribution_bins", "attribution_truth"}),
        ({"attribution": {"methods": []}, "shift": {"kinds": []}}, STUDY),
        ({"attribution": {"bins": 0}}, STUDY | SHIFT | MAPS | {"attribution_truth"}),
        (
            {"dataset": "own", "data": TABLE, "targets": ["leaf"]},
            STUDY | SHIFT | MAPS | {"attribution_bins"},
        ),
    ],
)
def test_a_study_has_the_figures_that_it_has_something_to_show_in(changes, expected):
    study = study_of(**changes)
    made = [path for part in parts.PARTS for path in figures.files(study, part)]
    assert len(set(made)) == len(made)
    folder = f"{study.layout.results}/figures"
    names = {Path(path).relative_to(folder).parts[0].partition(".")[0] for path in made}
    assert names == expected
    # A part that the study lacks is refused, and its figures are none.
    for part in parts.PARTS:
        if figures.files(study, part):
            assert set(figures.files(study, part)) <= set(parts.part_files(study, part))


def test_every_arm_target_and_method_has_its_figures(tiny):
    def names(part):
        found = [path.removeprefix("results/tiny/figures/") for path in figures.files(tiny, part)]
        assert [p for p in found if p.endswith(".pdf")] == [
            p.replace(".png", ".pdf") for p in found if p.endswith(".png")
        ]
        return sorted(p.removesuffix(".png") for p in found if p.endswith(".png"))

    assert names("all") == ["performance"]
    assert names("evoaug") == ["evoaug"]
    assert names("dynamic_augmentation") == ["dynamic_augmentation"]
    arms = ["evoaug_1_n2", "standard_0.5_n2", "standard_1_n2", "standard_1_n4"]
    own = ("shift", "shift_distribution")
    assert names("shift") == [f"{name}/{arm}" for name in own for arm in arms]
    judged = sorted({*UNCERTAINTY, "uncertainty_shift"})
    assert names("uncertainty") == [f"{name}/{arm}" for name in judged for arm in arms]
    per_arm = ["attribution", "attribution_bins", "attribution_scatter", "attribution_truth"]
    mapped = ["standard_1_n2", "standard_1_n4"]
    logos = [
        f"attribution_logos/{arm}_{target}_{method}"
        for arm in mapped
        for target in ("Dev", "Hk")
        for method in ("saliency", "shap_dinuc_shuffle")
    ]
    assert names("attribution") == sorted(logos + [f"{n}/{a}" for n in per_arm for a in mapped])


def test_what_figures_are_drawn_from(tiny):
    arm = {"augmentation": "standard", "proportion": "0.5", "size": "2"}
    pool = "results/tiny/standard/downsample_0.5"

    def given(name, **more):
        own = figures.inputs(tiny, FIGURES[name])({**arm, **more})
        assert own.pop("dataset") == "results/tiny/dataset.h5"
        return own

    assert given("performance") == {"table": "results/tiny/summary.csv"}
    assert given("evoaug") == {"table": "results/tiny/summaries/evoaug.csv"}
    assert given("shift") == {"table": f"{pool}/shift/n2_summary.csv"}
    assert given("attribution") == {"table": f"{pool}/attribution/n2_summary.csv"}
    assert given("attribution_scatter") == {"maps": f"{pool}/attribution/n2.h5"}
    assert given("shift_distribution") == {
        "sequences": "results/tiny/shift.h5",
        "ensemble": f"{pool}/shift/n2-ensemble/predictions.h5",
        "teachers": [f"{pool}/shift/teachers/{ix}_predictions.h5" for ix in (1, 2)],
        "teachers_test": [f"{pool}/teachers/{ix}_predictions.h5" for ix in (1, 2)],
        "students": [f"{pool}/shift/n2-std/1_predictions.h5"],
        "students_test": [f"{pool}/students/n2/std/1_predictions.h5"],
    }
    # Two teachers, whatever the size, and the first student of each kind.
    arm |= {"proportion": "1", "size": "4"}
    pool = "results/tiny/standard/downsample_1"
    assert given("attribution_logos", target="Dev", method="saliency") == {
        "maps": f"{pool}/attribution/n4.h5",
        "teachers": [f"{pool}/attribution/teachers/{ix}_saliency.h5" for ix in (1, 2)],
        "students": [f"{pool}/attribution/n4-std/1_saliency.h5"],
    }


def test_what_figures_go_by(tiny):
    assert figures.params(tiny, FIGURES["performance"]) == {
        "draw": "degu.plots.performance:draw",
        "series": [],
        "settings": {},
        "members": {},
    }
    settings = figures.params(tiny, FIGURES["attribution_logos"])["settings"]
    assert settings == {"attribution.logos": 2, "attribution.motifs": {"box": "TATAWA"}}
    members = figures.params(tiny, FIGURES["shift_distribution"])["members"]
    own = members({"augmentation": "standard", "proportion": "1", "size": "2"})
    assert [one["member"] for one in own["teachers"]] == [1, 2]
    variants = [(one["uncertainty"], one.get("variant")) for one in own["students"]]
    assert variants == [("std", None), ("std", "evoaug_append")]


def test_jobs_are_told_of_series_that_are_not_built_in(tiny):
    """Also where this process knows them already: the one that draws may not."""
    dropout = replace(STUDENT, name="mc_dropout", role="mc_dropout", label="MC dropout")
    dropout = replace(dropout, choices=lambda config: ({},))
    kinds = (dropout, replace(STUDENT, name="dummy", role="dummy", label=None))
    study = replace(tiny, kinds=(*tiny.kinds, *kinds))
    expected = [
        {"role": "mc_dropout", "uncertainty": "", "label": "MC dropout"},
        {"role": "dummy", "uncertainty": "std", "label": "dummy (std)"},
    ]
    assert figures.looks(tiny) == []
    assert figures.looks(study) == expected
    try:
        for own in expected:
            register(**own)
        assert figures.looks(study) == expected
    finally:
        for own in expected:
            SERIES.pop(series_name(own["role"], own["uncertainty"]), None)


DUMMIES = [
    Figure(
        "dummy",
        content="numbers of rows",
        subcategory="Dummies",
        source="summary",
        part="all",
        settings=("seed",),
        draw="dummy_figures:draw",
        caption="{folder}/dummy.rst",
    ),
    Figure(
        "dummy_arms",
        content="lines of files",
        subcategory="Dummies",
        source="shift_table",
        part="shift",
        per="arm",
        draw="dummy_figures:draw",
        caption="{folder}/dummy.rst",
    ),
]
MODULE = """
from matplotlib.figure import Figure

def draw(given):
    figure = Figure(figsize=(2, 1))
    title = given.arm_name if given.arm else f"seed {given.settings['seed']}"
    figure.suptitle(f"{len(given.table())} rows, {title}, {given.info.targets}")
    return figure
"""
# Python imports this first in every process that has its folder on its path.
STARTUP = """
import sys
sys.path.insert(0, {source!r})
from degu.plots.catalogue import Figure, register
for fields in {fields!r}:
    register(Figure(**fields))
"""


def test_a_figure_from_a_test_reaches_plan_file_and_report(tmp_path, root):
    """Without a line of the package or the rules that speaks of it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "dummy.rst").write_text("What a *dummy* shows.")
    (outside / "dummy_figures.py").write_text(MODULE)
    own = [replace(dummy, caption=str(outside / "dummy.rst")) for dummy in DUMMIES]
    fields = [{k: v for k, v in vars(dummy).items() if k != "needs"} for dummy in own]
    startup = STARTUP.format(source=str(root / "src"), fields=fields)
    (outside / "sitecustomize.py").write_text(startup)

    config = {"dataset": "made", "arms": [{"ensemble_sizes": [2, 3]}]}
    study = study_of(**config)
    with registered(own[0]), registered(own[1]):
        planned = {*parts.part_files(study, "all")}
        made = [*figures.files(study, "all"), *figures.files(study, "shift")]
        assert planned >= set(made)
    assert planned - set(parts.part_files(study, "all")) == {
        f"results/made/figures/{name}.{suffix}"
        for name in ("dummy", "dummy_arms/standard_1_n2", "dummy_arms/standard_1_n3")
        for suffix in ("pdf", "png")
    }

    folder = tmp_path / "run"
    pool = folder / "results/made/standard/downsample_1/shift"
    pool.mkdir(parents=True)
    write_small_dataset(folder / "results/made/dataset.h5")
    row = {"role": "teacher", "target": "Dev", "head": "mean", "metric": "MSE", "value": 1.0}
    write_csv(tidy([row] * 7), folder / "results/made/summary.csv")
    write_csv(tidy([row] * 5), pool / "n3_summary.csv")
    targets = ["results/made/figures/dummy.png"]
    targets += ["results/made/figures/dummy_arms/standard_1_n3.png"]
    with_dummies = ["env", f"PYTHONPATH={outside}"]
    rules = ["--allowed-rules", "plot_dummy", "plot_dummy_arms"]
    run_snakemake(folder, config, *rules, "--", *targets, prefix=with_dummies)
    for target in targets:
        assert imread(folder / target).std() > 0
    report = ["--report", "report.zip"]
    run_snakemake(folder, config, *report, *rules, "--", *targets, prefix=with_dummies)
    with zipfile.ZipFile(folder / "report.zip") as file:
        whole = "\n".join(file.read(n).decode(errors="ignore") for n in file.namelist())
    for text in ("What a <em>dummy</em> shows.", "numbers of rows", "standard, 1, n = 3"):
        assert text in whole
