"""Print what the whole study needs: jobs, hours and GPU hours, by rule and partition."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from degu.ops import events
from degu.ops.progress import jobs_of, plan, plan_text, times_of

params = snakemake.params
with tempfile.TemporaryDirectory() as folder:
    config = Path(folder) / "config.json"
    config.write_text(json.dumps(params.overrides))
    happened = Path(folder) / "events.jsonl"
    # A dry run of all of the study takes no lock, and makes nothing.
    command = [sys.executable, "-m", "snakemake", "all", "--dry-run", "--forceall"]
    # As many cores as any job asks for.
    command += ["--cores", "1024"]
    command += ["--snakefile", params.snakefile, "--configfile", str(config)]
    environment = {**os.environ, events.VARIABLE: str(happened)}
    dry_run = subprocess.run(command, capture_output=True, text=True, env=environment)
    run = events.read_run(happened)
if dry_run.returncode:
    sys.exit(f"{dry_run.stdout}{dry_run.stderr}\nerror: the dry run failed, as said above.")
times, rests_on = times_of(params.results, params.pilot)
table = plan_text(plan(jobs_of(run), times))
text = f"{table}\n\n{rests_on}\n"
Path(snakemake.log[0]).write_text(text)
print(text, end="")
