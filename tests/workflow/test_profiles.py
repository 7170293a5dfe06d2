"""Profiles name the workflow's rules, all that they should and no others."""

import yaml
from snakemake_runs import ROOT
from test_rules import rules  # noqa: F401  # a fixture

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
ONCE = {"ingest", "subset_sequences", "shift_sequences", "attribution_sequences"}


def test_trainings_are_arrays(rules):  # noqa: F811
    arrays = PROFILE["slurm-array-jobs"].replace(",", " ").split()
    assert set(arrays) == {name for name in rules if name.startswith(("train_", "finetune_"))}
    # Snakemake takes the list for the name of a file at first.
    assert len(PROFILE["slurm-array-jobs"]) < 255


def test_short_jobs_that_are_many_share_submissions(rules):  # noqa: F811
    groups = dict(item.split("=") for item in PROFILE["groups"])
    assert set(groups) <= set(rules)
    many = {
        name
        for name, rule in rules.items()
        if "{" in str(rule["log"])
        and rule["script"].rpartition("/")[2] not in ("train.py", "finetune.py", "predict.py")
        and not name.startswith(("predict_", "attribute_", "evaluate_", "aggregate_shift"))
    }
    assert many <= set(groups)
