"""Running the real workflow as a person would, in a folder of the test's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
# Workers that run tests side by side may plan in one folder.
CONFIG_FILE = f"study{os.environ.get('PYTEST_XDIST_WORKER', '')}.yaml"


def run_snakemake(folder, config=None, *arguments, check=True, cores=2, root=ROOT, prefix=()):
    """Run Snakemake in a folder; returns its finished process with all output in ``stdout``.

    ``root`` is the checkout whose workflow is run, ``prefix`` a command that runs the command.
    """
    command = [*prefix, sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
    command += ["--directory", str(folder), "--cores", str(cores)]
    if config is not None:
        path = Path(folder) / CONFIG_FILE
        path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        command += ["--configfile", str(path)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
    )
    if check:
        assert done.returncode == 0, done.stdout[-8000:]
    return done


def planned_jobs(output):
    """Jobs for each rule from the statistics that Snakemake prints."""
    # A dry run prints the table twice.
    table = output[output.index("Job stats:") :]
    table = table[: table.index("total")]
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
