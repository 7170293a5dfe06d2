"""Wall time of a dry run of a whole study: from `snakemake -n` to its list of jobs.

Each run plans the study in a fresh folder, where nothing has been made yet.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = 20.0


def dry_run(config):
    """Wall seconds, CPU seconds and number of jobs; exits with Snakemake's words if it fails."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config)]
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = re.search(r"^total +(\d+)$", done.stdout, re.MULTILINE)
    if done.returncode or total is None:
        sys.exit(f"snakemake -n ended with {done.returncode}:\n{done.stdout[-4000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, int(total[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", type=Path, default=ROOT / "config/deepstarr.yaml")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all runs to this file")
    args = parser.parse_args()

    print(f"{'run':>3} {'jobs':>6} {'wall s':>8} {'CPU s':>8}")
    runs = []
    for i in range(args.runs):
        wall, cpu, jobs = dry_run(args.configfile.resolve())
        runs.append({"wall": wall, "cpu": cpu, "jobs": jobs})
        print(f"{i + 1:3} {jobs:6} {wall:8.1f} {cpu:8.1f}", flush=True)
    median = statistics.median(run["wall"] for run in runs)
    print(
        f"\nPlanning the {runs[0]['jobs']} jobs of {args.configfile.name} takes {median:.1f} s "
        f"(median of {args.runs} runs, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} "
        f"cores): the target of {TARGET:.0f} s is {'met' if median < TARGET else 'missed'}."
    )
    if args.json:
        args.json.write_text(json.dumps({"config": args.configfile.name, "runs": runs}))


if __name__ == "__main__":
    main()
