"""What a person sees of a run with Snakemake's logger plugin ``degu``, and with none."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from setuptools import find_packages

from degu.ops.events import latest_run

ROOT = Path(__file__).parents[2]
PLUGINS = Path(__file__).parent / "plugins"
SNAKEMAKE = (sys.executable, "-m", "snakemake")
HEAD = f"""
import sys
sys.path.insert(0, {str(ROOT / "src")!r})
from snakemake.logging import logger
from degu.ops.events import record_events

if workflow.is_main_process:
    record_events(logger, "my_assay")

onsuccess:
    logger.info("the end")

onerror:
    logger.error("the bad end")
"""
GOOD = f"""
{HEAD}
rule all:
    input: expand("m{{ix}}.txt", ix=range(1, 7)), "last.txt"

rule train_teacher:
    output: "m{{ix}}.txt"
    shell: "touch {{output}}"

rule short:
    output: temp("short.txt")
    shell: "touch {{output}}"

rule last:
    input: "short.txt"
    output: "last.txt"
    shell: "cp {{input}} {{output}}"
"""
BAD = f"""
{HEAD}
rule all:
    input: "flaky.txt", "fail3.txt", "lost.txt"

rule flaky:
    output: "flaky.txt"
    retries: 1
    shell: "if [ -e once ]; then touch {{output}}; else touch once; exit 1; fi"

rule fail:
    input: expand("in{{n}}", n=range(30))
    output: "fail{{ix}}.txt"
    log: "logs/fail{{ix}}.log"
    shell: "for i in $(seq 99); do echo epoch $i; done > {{log}}; echo error: 1 >> {{log}}; exit 1"

rule lost:
    output: "lost.txt"
    log: "logs/lost.log"
    shell: "echo nothing done > {{log}}"

rule source:
    output: "in{{n}}"
    shell: "touch {{output}}"
"""


def environment():
    """With the plugins of this folder and of this checkout."""
    path = [str(ROOT / "src"), str(PLUGINS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def snakemake(folder, snakefile, *arguments, command=SNAKEMAKE):
    """Run Snakemake; the finished process has all output in ``stdout``."""
    (folder / "Snakefile").write_text(snakefile)
    return subprocess.run(
        [*command, "--cores", "2", "--nocolor", "--latency-wait", "0", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def test_a_line_a_job_and_nothing_else(tmp_path):
    done = snakemake(tmp_path, GOOD, "--logger", "degu")
    assert done.returncode == 0
    first, *jobs, last = done.stdout.splitlines()
    assert (first, last) == ("9 jobs", "the end")
    matched = [re.fullmatch(r" *(\d)/9  (\S.*\S) +\d+\.\d s", line) for line in jobs]
    assert [match[1] for match in matched] == list("12345678")
    expected = [*(f"train teacher: member {ix}" for ix in range(1, 7)), "last", "short"]
    assert sorted(match[2].rstrip() for match in matched) == sorted(expected)
    # The full log has everything, and so have the events.
    (log,) = (tmp_path / ".snakemake/log").glob("*.snakemake.log")
    assert "Finished jobid: 0 (Rule: all)" in log.read_text()
    run = latest_run(tmp_path / ".snakemake/log", "my_assay")
    assert (run.done, run.total, run.failed) == (9, 9, ())


def test_failures_retries_and_another_logger(tmp_path):
    done = snakemake(tmp_path, BAD, "--keep-going", "--logger", "degu", "noted")
    assert done.returncode == 1
    said = done.stdout
    lines = [line.strip() for line in said.splitlines()]
    # As Snakemake says it, but for the bulk of inputs and the log, of which the end is shown.
    assert "Error in rule fail:" in lines
    assert "input: in0, in1, in2, in3, in4, and 25 more" in lines
    assert "Command 'set -euo pipefail;  for i in $(seq 99)" in said
    assert "Logfile logs/fail3.log ends with:" in lines
    assert lines.count("error: 1") == 1
    assert [line for line in lines if line.startswith("epoch")] == [
        f"epoch {i}" for i in range(81, 100)
    ]
    assert "Error in rule flaky:" in lines
    assert re.search(r"^Trying to restart job \d+\.$", said, re.MULTILINE)
    assert re.search(r"^Job \d+ +completed successfully, but some output files", said, re.MULTILINE)
    assert "nothing done" in lines
    assert len(re.findall(r"^ *\d+/34  ", said, re.MULTILINE)) == 31
    assert "the bad end" in lines
    assert re.search(r"^Complete log\(s\): /.+\.snakemake\.log$", said, re.MULTILINE)
    # Each logger has its share, and the file of events is written once.
    events = Counter((tmp_path / "noted.txt").read_text().split())
    assert events["job_finished"] == 31
    (file,) = (tmp_path / ".snakemake/log").glob("*.degu.jsonl")
    text = file.read_text()
    assert text.count('"event": "finish"') == 31
    assert text.count('"event": "fail"') == 3


def test_dry_runs_and_lists_are_those_of_snakemake(tmp_path):
    """But for times and the order of sets."""

    def shown(*arguments):
        text = snakemake(tmp_path, GOOD, "--quiet", "host", *arguments).stdout
        return Counter(re.findall(r"[\w./]+", re.sub(r"\[.* \d{4}\]", "", text)))

    dry = shown("--dry-run", "--logger", "degu")
    assert dry == shown("--dry-run")
    assert dry["reason"] == 9
    assert dry["stats"] == 2
    assert not list(tmp_path.glob(".snakemake/log/*.jsonl"))
    assert shown("--summary", "--logger", "degu") == shown("--summary")


CLUSTER = f"""
{HEAD}
localrules: all
rule all:
    input: "m1.txt", "g2.txt"

rule m:
    output: "m{{ix}}.txt"
    benchmark: "m{{ix}}.tsv"
    shell: "touch {{output}}"

rule g1:
    output: "g1.txt"
    group: "g"
    shell: "touch {{output}}"

rule g2:
    input: "g1.txt"
    output: "g2.txt"
    group: "g"
    log: "g2.log"
    shell: "echo error: no room > {{log}}; exit 1"
"""


def test_jobs_and_groups_of_a_cluster(tmp_path):
    arguments = ("--executor", "near", "--jobs", "4", "--seconds-between-status-checks", "1")
    done = snakemake(tmp_path, CLUSTER, "--keep-going", *arguments, "--logger", "degu")
    assert done.returncode == 1
    lines = [line.strip() for line in done.stdout.splitlines()]
    said = "\n".join(lines)
    # What was submitted under which number, and as what.
    (number,) = re.findall(r"^job (\d+): m: member 1$", said, re.MULTILINE)
    assert re.search(
        rf"^Job {number} has been submitted as \d+ \(log: cluster{number}.log\)", said, re.MULTILINE
    )
    assert any(line.endswith("Group job g (jobs in lexicogr. order):") for line in lines)
    assert "message: Error in group g" in lines
    assert re.search(r"^Logfile cluster\S+\.log ends with:$", said, re.MULTILINE)
    assert "Error in rule g2:" in lines
    assert "Logfile g2.log ends with:" in lines
    assert any(line.startswith("1/4  m: member 1") for line in lines)
    # The Snakemakes of the jobs write no events.
    run = latest_run(tmp_path / ".snakemake/log", "my_assay")
    assert len(list((tmp_path / ".snakemake/log").glob("*.jsonl"))) == 1
    assert run.remote
    assert sorted(map(str, run.failed)) == ["g1", "g2"]
    (g2,) = (job for job in run.failed if job.rule == "g2")
    assert g2.logs[0] == "g2.log"
    assert re.fullmatch(r"cluster\S+\.log", g2.logs[1])


def test_a_bar_on_a_terminal(tmp_path):
    (tmp_path / "Snakefile").write_text(GOOD)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [*SNAKEMAKE, "--cores", "2", "--logger", "degu"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=theirs)
    os.close(theirs)
    output = b""
    while True:
        try:
            output += os.read(ours, 4096)
        except OSError:  # the other side was closed
            break
    assert process.wait(60) == 0
    os.close(ours)
    states = [state.strip() for state in re.split(r"[\r\n]+", output.decode())]
    assert any(
        re.fullmatch(r"[3-6]/9 \|.+\| \d running, about .+ left, till .+", s) for s in states
    )
    # Lines of jobs are whole, above the bar, which is gone at the end.
    assert sum(bool(re.fullmatch(r"\d/9  .* s", state)) for state in states) == 8
    assert "the end" in [state for state in states if state][-1]


WITHOUT = """
import sys
from pathlib import Path

sys.path = [p for p in sys.path if not (Path(p) / "snakemake_logger_plugin_degu").exists()]
from snakemake.cli import main

main(sys.argv[1:])
"""


def test_without_the_package_a_run_still_has_its_events(tmp_path):
    command = (sys.executable, "-c", WITHOUT)
    done = snakemake(tmp_path, GOOD, command=command)
    assert done.returncode == 0, done.stdout
    assert "9 of 9 steps (100%) done" in done.stdout
    run = latest_run(tmp_path / ".snakemake/log", "my_assay")
    assert (run.done, run.total) == (9, 9)
    # This is an environment without it, which no profile may therefore name.
    refused = snakemake(tmp_path, GOOD, "--logger", "degu", command=command)
    assert refused.returncode != 0
    for profile in ROOT.glob("profiles/*/config.yaml"):
        assert "logger" not in yaml.safe_load(profile.read_text())


def test_make_run_names_the_logger(tmp_path):
    if not shutil.which("make"):
        pytest.skip("needs make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt", ".venv/.installed"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    # The tests may be run by make themselves.
    plain = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    shown = subprocess.run(
        ["make", "--dry-run", "run", "CORES=3", "ARGS=teachers"],
        cwd=tmp_path,
        env=plain,
        capture_output=True,
        text=True,
        check=True,
    )
    # Words after `--logger degu` would be taken for loggers too.
    assert shown.stdout == ".venv/bin/snakemake --logger degu --cores 3 teachers\n"


def test_the_plugin_is_part_of_the_distribution():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = find_packages(str(ROOT / "src"))
    assert settings["packages"]["find"] == {"where": ["src"]}  # everything that is found there
    assert {"degu", "snakemake_logger_plugin_degu"} <= set(found)


LIGHT = """
import sys

import snakemake_logger_plugin_degu

assert "degu" not in sys.modules
assert not {"tqdm", "pandas", "numpy"} & set(sys.modules)
"""


def test_the_plugin_leaves_it_to_the_snakefile_which_degu_is_used():
    subprocess.run([sys.executable, "-c", LIGHT], env=environment(), check=True)
