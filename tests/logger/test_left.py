"""Time left of a run, for jobs whose times are known."""

import pytest

from snakemake_logger_plugin_degu.left import TimeLeft


def test_two_jobs_at_once():
    left = TimeLeft({"train": 4, "plot": 1}, now=100)
    assert left.seconds(100) is None
    left.begin(1, "train", 100)
    left.begin(2, "train", 100)
    assert (left.seconds(150), left.running) == (None, 2)
    left.end(1, 160, took=60)
    left.end(2, 160, took=60)
    # Two more trainings, and a plot that is taken to be as long; two at once.
    assert left.seconds(160) == pytest.approx((2 * 60 + 60) / 2)
    left.begin(3, "plot", 160)
    left.end(3, 162, took=2)
    # (60 + 60 + 2) seconds of jobs in 62.
    assert left.seconds(162) == pytest.approx(2 * 60 / (122 / 62))


def test_jobs_that_run_are_partly_done():
    left = TimeLeft({"train": 2}, now=0)
    left.begin(1, "train", 0)
    left.end(1, 60, took=60)
    left.begin(2, "train", 60)
    assert left.seconds(90) == pytest.approx(30)
    # A job that takes longer than expected is about to end, and never overdue.
    assert left.seconds(500) == 0
    # One that failed is still to be done, if only by the next run.
    left.end(2, 500)
    assert left.seconds(500) == pytest.approx(60)


def test_what_was_not_announced():
    left = TimeLeft({}, now=0)
    left.end(9, 5, took=5)
    assert left.seconds(5) is None
