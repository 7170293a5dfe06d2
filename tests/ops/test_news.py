"""The table at the end of a run, of a summary written by hand."""

import pandas as pd

from degu.io.summary import tidy
from degu.ops.news import end_of_run_text, results_table


def row(role, value, target="Dev", head="mean", metric="Pearson", **identity):
    identity = {"augmentation": "standard", "proportion": 1.0, **identity}
    return {
        **{"role": role, "target": target, "head": head, "metric": metric, "value": value},
        **identity,
    }


SUMMARY = [
    # Of a member the row of its last stage counts, and no other metric than Pearson's r.
    row("teacher", 0.5, member=1),
    row("teacher", 0.7, member=2),
    row("teacher", 0.4, "Hk", member=1),
    row("teacher", 0.5, "Hk", member=2),
    row("teacher", 9.0, member=1, metric="MSE"),
    row("teacher", 9.0, member=1, stage="aug"),
    row("teacher", 9.0, member=1, proportion=0.5),
    row("student", 9.0, size=2, uncertainty="std", member=1),
    row("student", 0.75, size=4, uncertainty="std", member=1),
    row("student", 0.85, size=4, uncertainty="std", member=2),
    row("student", 0.6, "Hk", size=4, uncertainty="std", member=1),
    row("student", 0.9, head="std", size=4, uncertainty="std", member=1),
    row("student", 0.7, head="std", size=4, uncertainty="std", member=2),
    row("student", 9.0, head="std", size=4, uncertainty="std", member=1, shift="large"),
    row("student", 0.25, size=2, uncertainty="std", member=1, variant="evoaug_append"),
    row("heteroscedastic", 0.125, member=1),
    # These are shown before the students that learn from them.
    row("ensemble", 9.0, size=2),
    row("ensemble", 0.8, size=4),
    row("ensemble", 0.65, "Hk", size=4),
    row("ensemble", 0.375, size=3, augmentation="evoaug", proportion=0.25),
    # The assay's own rows belong to no arm.
    {"role": "assay", "target": "Dev", "head": "mean", "metric": "Mean", "value": 9.0},
]
EXPECTED = """\
Pearson, Test                                   Dev     Hk  fidelity Dev
standard, 1 of Train
  single teacher (mean of 2)                  0.600  0.450
  ensemble of 4                               0.800  0.650
  student (std, ensemble of 4, mean of 2)     0.800  0.600         0.800
  student (std, evoaug append, ensemble of 2) 0.250
  heteroscedastic                             0.125
evoaug, 0.25 of Train
  ensemble of 3                               0.375"""


def lines(text):
    return [line.split() for line in text.splitlines()]


def test_results(tmp_path):
    summary = tidy(SUMMARY)
    assert lines(results_table(summary)) == lines(EXPECTED)
    # As read from a file, too; and all cells of a column end where its title ends.
    summary.to_csv(tmp_path / "summary.csv", index=False)
    text = end_of_run_text(tmp_path, whole=True)
    table = results_table(pd.read_csv(tmp_path / "summary.csv"))
    assert table in text
    assert table == results_table(summary)
    title, _, teacher, *_ = table.splitlines()
    assert teacher.index("0.600") + 5 == title.index("Dev") + 3
    assert teacher.index("0.450") + 5 == title.index("Hk") + 2
    assert f"{tmp_path}/figures/" in text
    assert "--report" in text


def test_a_part_of_a_study(tmp_path):
    """Its summary, if there is one, is of another run."""
    (tmp_path / "summary.csv").write_text("old")
    assert end_of_run_text(tmp_path, whole=False) == f"Finished: the results lie in {tmp_path}/"


def test_a_summary_without_correlations():
    assert results_table(tidy([row("assay", 1.0, metric="Mean")])) == ""
