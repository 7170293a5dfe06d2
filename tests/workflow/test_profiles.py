"""Profiles name the workflow's rules, all that they should and no others."""

import yaml
from snakemake_runs import ROOT, planned_jobs, run_snakemake
from test_rules import rules  # noqa: F401  # a fixture
from tiny_study import CONFIG, write_architecture

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
ONCE = {"ingest", "subset_sequences", "shift_sequences", "attribution_sequences"}


def test_trainings_are_arrays(rules):  # noqa: F811
    arrays = PROFILE["slurm-array-jobs"].replace(",", " ").split()
    trainings = {name for name in rules if name.startswith(("train_", "finetune_"))}
    assert set(arrays) - {"/"} == trainings
    # Snakemake takes the list for a path at first, whose parts are names of files.
    assert max(map(len, PROFILE["slurm-array-jobs"].split("/"))) < 255


def test_short_jobs_that_are_many_share_submissions(rules):  # noqa: F811
    groups = dict(item.split("=") for item in PROFILE["groups"])
    assert set(groups) <= set(rules)
    many = {
        name
        for name, rule in rules.items()
        if "{" in str(rule["log"])
        and rule["script"].rpartition("/")[2] not in ("train.py", "finetune.py", "predict.py")
        and not name.startswith(
            ("predict_", "attribute_", "evaluate_", "aggregate_shift", "score_unc")
        )
    }
    assert many <= set(groups)


def test_no_group_waits_for_itself(tmp_path):
    """A group whose jobs need others that need the group ends every plan of a study."""
    groups = ["--groups", *PROFILE["groups"], "--group-components", *PROFILE["group-components"]]
    plan = ("--dry-run", "--quiet", "rules")
    done = run_snakemake(write_architecture(tmp_path), CONFIG, *plan, *groups)
    jobs = planned_jobs(done.stdout)
    assert jobs["score_fidelity"] == jobs["label_copies"] == jobs["distillation_data"] == 4
