"""News of a study: what it needs, how far it is, how it has ended."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pandas as pd
import pytest
from snakemake_runs import run_snakemake
from tiny_study import CONFIG, changed, write_architecture

BAD_TABLE = "sequence\tsplit\tleaf\nACGT\ttrain\t1\nACGA\tval\tnone\nACGC\ttest\t3\n"
BAD_STUDY = {
    "dataset": "bad",
    "data": {"source": "table", "path": "bad.tsv", "split_column": "split"},
    "targets": ["leaf"],
}


def rows_of(output, name):
    """The numbers of the lines of a table that begin with a name."""
    return [
        line.removeprefix(name).split() for line in output.splitlines() if line.startswith(name)
    ]


def test_status_counts_what_is_there(copy):
    """Beside a run, which holds Snakemake's lock on the folder."""
    pool = copy / "results/tiny/standard/downsample_1"
    for gone in ("teachers/3_Small.h5", "teachers/3_predictions.h5", "students/n4/std/1_Small.h5"):
        (pool / gone).unlink()
    done = run_snakemake(copy, CONFIG, "--nolock", "--quiet", "all", "--", "status")
    # The ensemble of two has two teachers; of four, four. Both know the same pool's maps.
    ((complete, running, left, jobs),) = rows_of(done.stdout, "standard, 1 of Train, ensemble of 2")
    assert (running, left) == ("0", "0")
    assert complete == jobs
    ((_, running, left, _),) = rows_of(done.stdout, "standard, 1 of Train, ensemble of 4")
    assert (running, left) == ("0", "3")
    ((_, _, left, _),) = rows_of(done.stdout, "all")
    assert left == "3"
    assert " left, with " in done.stdout
    # Of the run that made the study, and not of this one.
    assert re.search(
        r"^The last run has ended after .+: (\d+) of \1 jobs done\.$", done.stdout, re.M
    )
    assert "Finished:" not in done.stdout


def test_a_member_that_failed_is_named(copy):
    """By ``status``, at the end of the run and in the summary, with the line that draws it anew."""
    pool = "results/tiny/standard/downsample_1/teachers"
    path = copy / pool / "3_history.csv"
    history = pd.read_csv(path)
    history["val_loss"] *= 20
    history.to_csv(path, index=False)
    told = [
        run_snakemake(copy, CONFIG, *arguments).stdout
        for arguments in (("--quiet", "all", "--", "status"), ("--", "results/tiny/summary.csv"))
    ]
    for output in told:
        ((*_, siblings, median),) = rows_of(output, "  teacher 3 (standard, 1 of Train): ")
        assert siblings == "siblings"
        # Nothing else of the tiny study has failed.
        assert f"\n  reseed: [{pool}/3_Small.h5]\n" in output
    summary = pd.read_csv(copy / "results/tiny/summary.csv")
    (row,) = summary[summary["metric"] == "Failed"].to_dict("records")
    assert (row["role"], row["augmentation"], row["proportion"]) == ("teacher", "standard", 1)
    assert row["member"] == 3
    error = history["val_loss"].min()
    assert row["value"] == pytest.approx(error / float(median.strip("()")), rel=0.01)
    # Its rows are there as ever.
    assert (summary.loc[summary["member"] == 3, "metric"] == "Pearson").any()


def test_plan_of_another_study_by_this_one_as_a_pilot(tmp_path):
    """Twice the members, half of the training set: as many seconds of training."""
    write_architecture(tmp_path)
    benchmarks = tmp_path / "results/pilot/benchmarks/train_teacher"
    benchmarks.mkdir(parents=True)
    for ix, seconds in ((1, 3000), (2, 4200)):
        text = f"s\th:m:s\tmax_rss\n{seconds}.0\t1:00:00\t1000.0\n"
        (benchmarks / f"standard_1_{ix}.tsv").write_text(text)
    config = changed(
        dataset="large",
        pilot="pilot",
        arms=[{"ensemble_sizes": [8]}, {"proportions": [0.5], "ensemble_sizes": [4]}],
        resources={"train": {"gpu": 1, "partition": "gpu"}, "light": {"partition": "cpu"}},
        dynamic_augmentation={"modes": []},
        attribution={"methods": []},
    )
    done = run_snakemake(tmp_path, config, "--quiet", "all", "--", "plan")
    # An hour for each of the eight, half an hour for each of the four.
    ((partition, jobs, gpus, *_, hours, gpu_hours),) = rows_of(done.stdout, "train_teacher ")
    assert (partition, jobs, gpus) == ("gpu", "12", "1")
    assert float(hours) == float(gpu_hours) == pytest.approx(8 + 2)
    assert "2 of results/pilot" in done.stdout
    assert not (tmp_path / "results/large/dataset.h5").exists()


@pytest.fixture
def webhook():
    """Address of a webhook on this machine, and the messages that it was sent."""
    messages = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/services/T0/B0/s3cr3t", messages
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failed_run_tells_slack_why(tmp_path, webhook, monkeypatch):
    address, messages = webhook
    monkeypatch.setenv("SLACK_WEBHOOK_URL", address)
    (tmp_path / "bad.tsv").write_text(BAD_TABLE)
    done = run_snakemake(tmp_path, BAD_STUDY, check=False)
    assert done.returncode != 0
    (message,) = messages
    for words in ("*bad* has failed", "ingest", "bad.tsv, line 3", "'none'"):
        assert words in message["text"]
    # Here too, as the last word on each failed job.
    assert "ingest: error: bad.tsv, line 3" in done.stdout
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"s3cr3t" not in path.read_bytes(), path
    assert "s3cr3t" not in done.stdout


def test_a_finished_run_tells_slack_once_and_news_never(copy, webhook, monkeypatch):
    address, messages = webhook
    monkeypatch.setenv("SLACK_WEBHOOK_URL", address)
    (copy / "results/tiny/summary.csv").unlink()
    done = run_snakemake(copy, CONFIG, "--until", "summarize")
    (message,) = messages
    assert re.search(
        r"^\S+ \*tiny\* has finished after .+: (\d+) of \1 jobs done$", message["text"]
    )
    # The end of the run shows what the summary says.
    summary = pd.read_csv(copy / "results/tiny/summary.csv")
    of_ensemble = (summary["role"] == "ensemble") & (summary["metric"] == "Pearson")
    largest = summary[of_ensemble & (summary["size"] == 4) & summary["shift"].isna()]
    (shown,) = rows_of(done.stdout, "  ensemble of 4")
    assert shown[: len(largest)] == [f"{value:.3f}" for value in largest["value"]]
    run_snakemake(copy, CONFIG, "--quiet", "all", "--", "status")
    assert len(messages) == 1
