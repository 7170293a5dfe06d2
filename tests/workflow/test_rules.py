"""What every rule must declare, read from the rules as Snakemake has parsed them."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from snakemake_runs import ROOT
from tiny_study import CONFIG, write_architecture

from degu.baselines import BASELINES

PARSE = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

def is_path(item):
    return not getattr(item, "flags", {}).get("unpack") and not callable(item)

with SnakemakeApi(OutputSettings(quiet=set())) as api:
    workflow = api.workflow(
        resource_settings=ResourceSettings(cores=1),
        config_settings=ConfigSettings(configfiles=[Path("study.yaml").resolve()]),
        snakefile=Path(sys.argv[1]),
        workdir=Path("."),
    )._workflow
    rules = {
        rule.name: {
            "log": [str(path) for path in rule.log],
            "benchmark": str(rule.benchmark or ""),
            "conda": str(rule.conda_env or ""),
            "script": str(rule.script or ""),
            "resources": {k: str(v) for k, v in rule.resources.items()},
            # unpack() is given functions that give names.
            "input": [sum(map(is_path, rule.input)), sorted(rule.input._names)],
            "output": [len(rule.output), sorted(rule.output._names)],
            "params": sorted(rule.params._names),
            "local": rule.name in workflow._localrules,
        }
        for rule in workflow.rules
    }
print("RULES", json.dumps(rules, default=str))
"""
NEWS = {"plan", "status"}  # print, and make nothing


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Every rule of a study that has all kinds of models and figures, as it was parsed."""
    folder = tmp_path_factory.mktemp("rules")
    write_architecture(folder)
    config = {**CONFIG, "baselines": list(BASELINES)}
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-c", PARSE, str(ROOT / "Snakefile")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RULES ")]
    return json.loads(line.removeprefix("RULES "))


@pytest.fixture(scope="module")
def making(rules):
    """The rules that make something."""
    return {name: rule for name, rule in rules.items() if rule["output"][0]}


def test_the_kinds_of_models_have_their_rules(making):
    for name in (
        *("train_teacher", "train_teacher_evoaug", "finetune_teacher", "predict_teacher"),
        *("train_student", "train_student_evoaug", "finetune_student", "predict_student"),
        *("train_dynamic_student", "finetune_dynamic_student", "predict_dynamic_student"),
        *("score_teacher", "score_student_evoaug", "score_dynamic_student", "score_ensemble"),
        *("predict_shift_teacher", "attribute_student"),
        *("train_heteroscedastic", "finetune_mixed", "predict_mc_dropout", "score_mean_student"),
    ):
        assert name in making


def test_every_rule_declares_all_that_it_needs(making):
    for name, rule in making.items():
        assert rule["conda"] == "../envs/degu.yaml", name
        asked = {"gpu", "mem_mb", "runtime", "slurm_partition", "slurm_account"}
        assert asked <= set(rule["resources"]), name
        # They grow with each attempt.
        for growing in ("mem_mb", "runtime"):
            assert "function" in rule["resources"][growing], name
        for section in ("input", "output"):
            number, names = rule[section]
            assert names or not number, f"{section} of {name} is not named"


def test_logs_and_benchmarks_are_each_rule_s_own(making):
    for directive in ("log", "benchmark"):
        of_rules = {name: str(rule[directive]) for name, rule in making.items()}
        assert len(set(of_rules.values())) == len(of_rules)
        for name, path in of_rules.items():
            assert re.search(rf"/{name}[./]", path), (directive, name)


@pytest.mark.parametrize(("train", "predict"), [(1, 0), (0, 1)])
def test_what_trains_or_computes_with_a_model_says_so_by_its_gpu(tmp_path, train, predict):
    """Each stage's own request reaches its rules."""
    write_architecture(tmp_path)
    resources = {"train": {"gpu": train}, "predict": {"gpu": predict}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**CONFIG, "resources": resources}))
    command = [sys.executable, "-c", PARSE, str(ROOT / "Snakefile")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.partition("RULES ")[2])
    for name, rule in found.items():
        if rule["output"][0]:
            stage = train if name.startswith(("train_", "finetune_")) else 0
            stage = predict if name.startswith(("predict_", "attribute_")) else stage
            assert re.search(r"\d+", rule["resources"]["gpu"])[0] == str(stage), name
            assert rule["conda"] == "../envs/degu-gpu.yaml"


def test_every_job_is_told_the_version_of_its_science(making):
    unversioned = {name for name, rule in making.items() if "stage" not in rule["params"]}
    assert {name for name in unversioned if not name.startswith("plot_")} <= {"download"}


def test_every_script_has_a_rule(rules):
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
    called = {re.sub(r".*/(\w+)\.py", r"\1", rule["script"]) for rule in rules.values()} - {""}
    assert scripts - {"download"} == called
    for name in scripts - NEWS:
        text = (ROOT / f"workflow/scripts/{name}.py").read_text()
        assert "job_log(snakemake.log[0])" in text or "model_job(snakemake)" in text, name


def test_targets_run_on_this_machine(rules):
    targets = {"all", "teachers", "students", "size_sweep", "shift", "attribution", *NEWS}
    for name in targets:
        assert rules[name]["output"][0] == 0
        assert rules[name]["local"]


def test_rule_files_stay_short():
    for path in (ROOT / "rules").glob("*.smk"):
        assert len(path.read_text().splitlines()) <= 150, path.name
