"""The tidy table of a study: every number where its identity says, and none invented."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from degu.errors import InputError
from degu.heads import Heads
from degu.io.files import write_csv, write_npy
from degu.io.summary import FAILED, performance_rows, summarize, tidy, tidy_rows
from degu.metrics import performance_table

TARGETS = ("Dev", "Hk")
SIZE = 3
POOL = {"augmentation": "standard", "proportion": 0.25}
METRICS = ("MSE", "Pearson", "Spearman")


class Study:
    """Random predictions of three teachers and of a student of each kind, and their tables."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.y = rng.normal(size=(40, 2)).astype(np.float32)
        self.members = self.y + rng.normal(size=(SIZE, 40, 2)).astype(np.float32)
        self.std = self.members.std(axis=0)
        self.students = {
            kind: np.hstack([self.y + rng.normal(size=(40, 2)), self.std * rng.random((40, 2))])
            for kind in ("std", "logvar")
        }
        self.teachers = [
            (self.table(folder / f"t{i}.csv", Heads(TARGETS), prediction), POOL | {"member": i})
            for i, prediction in enumerate(self.members, start=1)
        ]
        ensemble = self.table(folder / "e.csv", Heads(TARGETS), self.members.mean(axis=0))
        write_npy(self.std, folder / "std.npy")
        self.ensembles = [(ensemble, folder / "std.npy", POOL | {"size": SIZE})]
        self.student_tables = []
        for kind, prediction in self.students.items():
            heads = Heads.student(TARGETS, kind)
            output = prediction.copy()
            if kind == "logvar":
                output[:, 2:] = np.log(output[:, 2:] ** 2)
            path = self.table(folder / f"{kind}.csv", heads, output)
            self.student_tables.append(
                (path, POOL | {"size": SIZE, "member": 1, "uncertainty": kind})
            )

    def table(self, path, heads, prediction):
        y = self.y if len(heads) == 2 else np.hstack([self.y, self.std])
        write_csv(performance_table(y, prediction, heads), path)
        return path

    @property
    def models(self):
        roles = (("teacher", self.teachers), ("student", self.student_tables))
        return [(path, {"role": role, **own}) for role, tables in roles for path, own in tables]

    def summarize(self):
        return summarize(
            TARGETS,
            members=self.models,
            ensembles=self.ensembles,
        )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def summary(study):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return study.summarize()


def value(summary, **identity):
    """The one value with this identity."""
    chosen = summary
    for name, wanted in identity.items():
        chosen = chosen[chosen[name].isna() if wanted is None else chosen[name] == wanted]
    assert len(chosen) == 1
    return chosen["value"].item()


def test_columns_are_those_that_the_design_promises(summary):
    names = "role augmentation proportion size member stage variant uncertainty shift target head"
    assert " ".join(summary.columns) == f"{names} ddof metric value"


def test_every_number_is_there_once(summary):
    assert not summary.duplicated(list(summary.columns.drop("value"))).any()
    assert np.isfinite(summary["value"]).all()
    counts = summary["role"].value_counts().to_dict()
    # A student: three metrics of the mean; of the std head two, and its error twice.
    assert counts == {"teacher": 3 * 2 * 3, "ensemble": 2 * (3 + 2), "student": 2 * 2 * (3 + 4)}


@pytest.mark.parametrize("target", TARGETS)
def test_values_are_those_of_the_predictions(study, summary, target):
    column = TARGETS.index(target)
    y = study.y[:, column]

    def expected(prediction, metric):
        prediction = np.asarray(prediction, np.float64)[:, column]
        if metric == "MSE":
            return ((y - prediction) ** 2).mean()
        correlation = stats.pearsonr if metric == "Pearson" else stats.spearmanr
        return correlation(y, prediction).statistic

    for metric in METRICS:
        of = {"target": target, "head": "mean", "metric": metric, "ddof": None}
        for i, prediction in enumerate(study.members, start=1):
            got = value(summary, role="teacher", member=i, **of)
            assert got == pytest.approx(expected(prediction, metric), rel=1e-5)
        got = value(summary, role="ensemble", size=SIZE, member=None, **of)
        assert got == pytest.approx(expected(study.members.mean(axis=0), metric), rel=1e-5)
        for kind, prediction in study.students.items():
            got = value(summary, role="student", uncertainty=kind, size=SIZE, member=1, **of)
            assert got == pytest.approx(expected(prediction, metric), rel=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_both_conventions_of_the_spread(study, summary, target):
    """The unbiased numbers come from the members, not from the biased ones."""
    column = TARGETS.index(target)
    for ddof in (0, 1):
        spread = study.members[..., column].std(axis=0, ddof=ddof)
        got = value(summary, role="ensemble", target=target, head="std", metric="Mean", ddof=ddof)
        assert got == pytest.approx(spread.mean(), rel=1e-5)
        for kind, prediction in study.students.items():
            # A student's std is a population std of three members, whatever it was taught as.
            own = prediction[:, 2 + column] * (np.sqrt(SIZE / (SIZE - 1)) if ddof else 1)
            got = value(
                summary,
                role="student",
                uncertainty=kind,
                target=target,
                head="std",
                metric="MSE",
                ddof=ddof,
            )
            assert got == pytest.approx(((own - spread) ** 2).mean(), rel=1e-4)
    for kind, prediction in study.students.items():
        got = value(
            summary,
            role="student",
            uncertainty=kind,
            target=target,
            head="std",
            metric="Pearson",
            ddof=None,
        )
        fidelity = stats.pearsonr(prediction[:, 2 + column], study.std[:, column]).statistic
        assert got == pytest.approx(fidelity, rel=1e-4)


def test_what_does_not_apply_is_blank(summary):
    blank = summary.isna()
    for column in ("stage", "variant", "shift"):
        assert blank[column].all()
    assert (blank["size"] == (summary["role"] == "teacher")).all()
    assert (blank["member"] == (summary["role"] == "ensemble")).all()
    assert (blank["uncertainty"] == (summary["role"] != "student")).all()
    spread = (summary["head"] == "std") & summary["metric"].isin(["MSE", "Mean"])
    assert (blank["ddof"] == ~spread).all()


def test_the_file_holds_counts_as_counts_and_blanks_as_nothing(summary, tmp_path):
    write_csv(summary, tmp_path / "summary.csv")
    lines = (tmp_path / "summary.csv").read_text().splitlines()
    assert lines[1].startswith("teacher,standard,0.25,,1,,,,,Dev,mean,,MSE,")
    assert any(line.startswith("ensemble,standard,0.25,3,,,,,,Hk,std,1,Mean,") for line in lines)
    assert any(line.startswith("student,standard,0.25,3,1,,,std,,Hk,std,0,MSE,") for line in lines)
    again = pd.read_csv(tmp_path / "summary.csv")
    np.testing.assert_array_equal(again["value"], summary["value"])


def test_a_table_without_a_target_is_refused(study):
    path, identity = study.teachers[0]
    with pytest.raises(InputError, match=r"t1\.csv has no column Leaf; make it again"):
        performance_rows(path, ("Dev", "Leaf"), identity)


def test_an_undefined_correlation_stays_undefined(tmp_path):
    """A student that predicts one std for all; its row is there, its value blank."""
    path = tmp_path / "constant.csv"
    nan = np.nan
    table = pd.DataFrame({"metric": METRICS, "Dev": [1, 0.5, 0.5], "Dev-std": [0.1, nan, nan]})
    write_csv(table, path)
    rows = performance_rows(path, ("Dev",), {"role": "student", "size": 2})
    assert np.isnan(value(rows, head="std", metric="Pearson"))
    assert value(rows, head="std", metric="MSE", ddof=1) == pytest.approx(0.2)


@pytest.mark.parametrize("length", [0, 7, 20, 40])
def test_a_table_that_is_not_whole_is_refused(tmp_path, length):
    path = tmp_path / "1_performance.csv"
    whole = "metric,Dev\nMSE,1.2345\nPearson,0.5\nSpearman,0.6\n"
    path.write_text(whole[:length])
    with pytest.raises(InputError, match=r"1_performance\.csv is not a performance table"):
        performance_rows(path, ["Dev"], {"role": "teacher"})
    path.write_text(whole)
    assert performance_rows(path, ["Dev"], {"role": "teacher"})["value"].tolist() == [
        1.2345,
        0.5,
        0.6,
    ]


# Tables that are tidy already

SHIFTED = {
    "role": "student",
    "augmentation": "evoaug",
    "proportion": 0.25,
    "size": SIZE,
    "member": 1,
    "variant": "random",
    "uncertainty": "std",
    "shift": "none",
    "target": "Dev",
    "head": "std",
    "ddof": 0,
    "metric": "MSE",
    "value": 0.1 + 0.2,
}


def test_tidy_tables_and_the_assay_are_appended(study, summary, tmp_path):
    undefined = SHIFTED | {"metric": "Pearson", "ddof": None, "value": np.nan}
    # Names that pandas would take for a number and for a blank.
    second = [{**SHIFTED, "variant": None, "target": target} for target in ("1", "NA")]
    write_csv(tidy([SHIFTED, undefined]), tmp_path / "a.csv")
    write_csv(tidy(second), tmp_path / "b.csv")
    measured = {"role": "assay", "target": "Dev", "head": "mean", "metric": "Q05", "value": -1.5}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = summarize(
            TARGETS,
            members=study.models,
            ensembles=study.ensembles,
            tables=[tmp_path / "a.csv", tmp_path / "b.csv"],
            assay=tidy([measured]),
        )
    n = len(summary)
    pd.testing.assert_frame_equal(whole[:n], summary, check_dtype=False)
    assert (whole.columns == summary.columns).all()
    assert whole["size"].dtype == whole["ddof"].dtype == "Int64"
    added = whole[n:].to_dict("records")
    assert len(added) == 5
    for got, written in zip(added, [SHIFTED, undefined, *second, measured], strict=True):
        for name, value in got.items():
            if pd.isna(written.get(name)):
                assert pd.isna(value)
            else:
                assert value == written[name]
    write_csv(whole, tmp_path / "summary.csv")
    lines = (tmp_path / "summary.csv").read_text().splitlines()
    assert f"student,evoaug,0.25,3,1,,random,std,none,Dev,std,0,MSE,{0.1 + 0.2}" in lines
    assert "student,evoaug,0.25,3,1,,random,std,none,Dev,std,,Pearson," in lines
    assert lines[-1] == "assay,,,,,,,,,Dev,mean,,Q05,-1.5"


def test_a_table_that_is_not_tidy_is_refused(study, tmp_path):
    path = tmp_path / "shift.csv"
    write_csv(tidy([SHIFTED, SHIFTED | {"shift": "small"}]), path)
    whole = path.read_text()
    head, first, second = whole.splitlines()
    assert len(tidy_rows(path)) == 2
    damaged = [
        "",
        head + "\n",
        whole[:-3],  # within a value
        whole[:-12],
        f"{head}\n{first}\n{second[:20]}\n",
        whole.replace("metric,value", "metric,score"),
        whole.replace("metric,value", "metric,value,more"),
        whole.replace("role,augmentation", "augmentation,role"),
        whole.replace("0.25,3", "0.25,three"),
        whole.replace("student,", ",", 1),
        "\x89HDF",
    ]
    for text in damaged:
        path.write_text(text)
        with pytest.raises(InputError, match="is not a whole table with the columns") as error:
            tidy_rows(path)
        assert str(error.value).startswith(str(path))
    path.unlink()
    with pytest.raises(InputError, match=r"shift\.csv is not a whole table"):
        summarize(TARGETS, members=study.models, ensembles=(), tables=[path])


def test_a_member_that_failed_has_a_row_of_its_own(study, summary, tmp_path):
    """Of the model as a whole, whose target and head are blank; of no other row may they be."""
    row = POOL | {"role": "teacher", "member": 2, "metric": FAILED, "value": 2.5}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        none, one = (
            summarize(TARGETS, members=study.models, ensembles=study.ensembles, failed=tidy(rows))
            for rows in ([], [row])
        )
    pd.testing.assert_frame_equal(none, summary)
    write_csv(one, tmp_path / "summary.csv")
    text = (tmp_path / "summary.csv").read_text()
    assert text.splitlines()[-1] == "teacher,standard,0.25,,2,,,,,,,,Failed,2.5"
    again = tidy_rows(tmp_path / "summary.csv")
    assert value(again, metric=FAILED, role="teacher", member=2, target=None, head=None) == 2.5
    assert len(again) == len(summary) + 1
    (tmp_path / "summary.csv").write_text(text.replace("Failed", "MSE"))
    with pytest.raises(InputError, match="is not a whole table"):
        tidy_rows(tmp_path / "summary.csv")
