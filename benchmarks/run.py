"""CPU time of a study by rule, as the operating system counts it.

    python benchmarks/run.py                          # the embedded study
    python benchmarks/run.py --configfile my.yaml

Every process of the run tells its own CPU time when it ends, and that of the whole run is what the
system has counted of all of them. Snakemake's own benchmark files are no help here: they look at a
process from time to time, and miss what it does after the last look.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOOK = """
import atexit, json, os, resource, sys

def tell():
    job = getattr(sys.modules.get("__main__"), "snakemake", None)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    line = json.dumps([getattr(job, "rule", "Snakemake"), usage.ru_utime + usage.ru_stime])
    with open(os.environ["DEGU_CPU_TIMES"], "a") as file:
        file.write(line + "\\n")

atexit.register(tell)
"""
TRAINING = ("train_", "finetune_")


def run(folder: Path, arguments: list[str]) -> tuple[dict[str, list[float]], float, float]:
    """CPU seconds of each job by rule, of all processes together, and seconds on the clock."""
    hook, times = folder / "hook", folder / "times.jsonl"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    times.touch()
    paths = [str(hook), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "DEGU_CPU_TIMES": str(times),
    }
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), *arguments]
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
    total = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    by_rule: dict[str, list[float]] = defaultdict(list)
    for line in times.read_text().splitlines():
        rule, used = json.loads(line)
        by_rule[rule].append(used)
    return by_rule, total, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="2")
    known, rest = parser.parse_known_args()
    rest = [str(Path(a).resolve()) if Path(a).is_file() else a for a in rest]
    with tempfile.TemporaryDirectory() as folder:
        by_rule, total, seconds = run(Path(folder), ["--cores", known.cores, *rest])
    told = sum(map(sum, by_rule.values()))
    training = sum(sum(v) for rule, v in by_rule.items() if rule.startswith(TRAINING))
    print(f"{'rule':32s} {'jobs':>5s} {'CPU s':>8s} {'a job':>7s}")
    for rule, used in sorted(by_rule.items(), key=lambda item: -sum(item[1])):
        print(f"{rule:32s} {len(used):5d} {sum(used):8.1f} {sum(used) / len(used):7.2f}")
    print(f"{'processes that told nothing':32s} {'':5s} {total - told:8.1f}")
    print(
        f"all: {total:.0f} CPU seconds in {seconds:.0f} s; outside training {total - training:.0f}"
    )


if __name__ == "__main__":
    main()
