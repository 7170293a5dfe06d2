"""Print what of each arm is done, is being trained and is left, and how the latest run goes."""

from pathlib import Path

from degu.ops.events import latest_run
from degu.ops.news import failed_text
from degu.ops.progress import at_once, read_benchmarks, run_text, status, status_text, times_of

params = snakemake.params
times, rests_on = times_of(params.results, params.pilot)
jobs_at_once = at_once(read_benchmarks(f"{params.results}/benchmarks"))
table = status_text(status(params.arms, times, params.models), jobs_at_once, times)
run = latest_run(".snakemake/log", params.study, besides=frozenset(params.besides))
failed = failed_text(params.trained, params.reseed)
text = "\n\n".join(filter(None, [table, failed, f"{run_text(run)}\n{rests_on}\n"]))
Path(snakemake.log[0]).write_text(text)
print(text, end="")
