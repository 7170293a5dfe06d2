"""The table at the end of a run, of a summary written by hand."""

import pandas as pd

from degu.io.summary import tidy
from degu.ops.news import end_of_run_text, failed_text, results_table
from degu.training.history import save_history


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


def trained(folder, errors, **identity):
    """Members with these validation errors, numbered from 1; None is yet to be trained."""
    members = []
    for ix, error in enumerate(errors, start=1):
        path = folder / f"{identity['role']}_{ix}_history.csv"
        if error is not None:
            save_history({"val_loss": [2 * error, error]}, path)
        own = {"augmentation": "standard", "proportion": 1.0, **identity, "member": ix}
        model = f"{'/'.join(str(v) for v in identity.values())}/{ix}.h5"
        members.append({"identity": own, "history": str(path), "model": model})
    return members


def test_members_that_failed(tmp_path):
    members = trained(tmp_path, [0.5, 0.52, 1.3, None], role="teacher")
    members += trained(
        tmp_path,
        [0.099, 0.2, 0.1],
        role="student",
        size=4,
        uncertainty="std",
        variant="evoaug_append",
        proportion=0.25,
    )
    text = failed_text(members, ["student/4/std/evoaug_append/0.25/2.h5"])
    assert text.splitlines()[1:] == [
        "  teacher 3 (standard, 1 of Train): validation error 1.3, 2.5 times the median of "
        "3 siblings (0.52)",
        "  student 2 (std, evoaug append; standard, 0.25 of Train, ensemble of 4): validation "
        "error 0.2, 2.0 times the median of 3 siblings (0.1)",
        "To train them again from other seeds, write in the config:",
        "  reseed: [student/4/std/evoaug_append/0.25/2.h5, teacher/3.h5, "
        "student/4/std/evoaug_append/0.25/2.h5]",
    ]
    end = end_of_run_text(tmp_path, text, whole=False)
    assert end == f"{text}\n\nFinished: the results lie in {tmp_path}/"


def test_sound_members_and_a_damaged_history(tmp_path):
    members = trained(tmp_path, [0.5, 0.52, 0.55], role="teacher")
    assert failed_text(members, []) == failed_text([], []) == ""
    members += trained(tmp_path, [1.0, 1.0, 1.0, 9.0], role="student")
    (tmp_path / "teacher_1_history.csv").write_text("epoch,val_loss\n1,")
    damaged, _, student, *_ = failed_text(members, []).splitlines()
    assert damaged.startswith(f"{tmp_path}/teacher_1_history.csv is no training history")
    assert student.startswith("  student 4 ")
