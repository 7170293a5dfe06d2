"""A file's predictions in parts, their journal and their table, with models that only count."""

import csv
import gzip
import io
import json
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.errors import InputError
from degu.genomics.blocks import Block
from degu.predict.fit import Fit
from degu.predict.journal import Journal
from degu.predict.output import Columns, counted, format_of, into_file, into_stream
from degu.predict.predictor import Estimate
from degu.predict.stream import Settings, count_records, estimates


class Counting:
    """In place of models: the number of each base is its prediction; it counts its calls."""

    length, flanks, targets = 6, (b"", b""), ("A", "C")

    def __init__(self, std=True, intervals=True):
        self.calls = []
        self.std, self.intervals = std, intervals

    def estimate(self, codes, *, both_strands, levels, interval):
        self.calls.append(len(codes))
        mean = np.stack([(codes == base).sum(axis=1) for base in (0, 1)], axis=1).astype(float)
        ends = {level: (mean - level, mean + level) for level in levels}
        return Estimate(mean, mean / 10 if self.std else None, ends if self.intervals else {})


def blocks(sequences, rows=3):
    names = [f"s{i}" for i in range(len(sequences))]
    for start in range(0, len(sequences), rows):
        own = slice(start, start + rows)
        yield Block(names[own], [s.encode() for s in sequences[own]])


def run(sequences, settings=None, part=5, done=(), models=None, rows=3):
    models = models or Counting()
    settings = settings or Settings()
    found = estimates(models, blocks(sequences, rows), settings, "x.fa", part=part, done=done)
    return list(found), models


def table(parts):
    ids = [name for names, _ in parts for name in names]
    return ids, np.concatenate([one.mean for _, one in parts])


SOME = ["ACGTAA", "CCCCCC", "NNNNNN", "AAAAAA", "GGGGGG", "ACACAC", "TTTTTA", "NNNNNA"]


def test_order_and_ids_stay_and_what_is_unknown_is_missing():
    parts, models = run(SOME)
    ids, mean = table(parts)
    assert ids == [f"s{i}" for i in range(8)]
    counts = [[s.count("A"), s.count("C")] for s in SOME]
    expected = np.where([["N" in s] for s in SOME], np.nan, np.array(counts, float))
    np.testing.assert_array_equal(mean, expected)
    assert [len(names) for names, _ in parts] == [6, 2]
    assert models.calls == [5, 1]  # those without values are not predicted


def test_nothing_but_unknown_bases():
    parts, _ = run(["NNNNNN"] * 2)
    assert np.isnan(table(parts)[1]).all()
    assert np.isnan(parts[0][1].std).all()


@given(
    sequences=st.lists(st.text("ACN", min_size=1, max_size=20), min_size=1, max_size=9),
    part=st.integers(1, 12),
    stride=st.sampled_from([None, 1, 4]),
)
def test_tiles_are_averaged(sequences, part, stride):
    settings = Settings((0.5,), fit=Fit("tile", stride, 0.5))
    parts, models = run(sequences, settings, part)
    assert max(models.calls, default=0) <= part
    columns = zip(*((e.mean, e.std, e.intervals[0.5][1]) for _, e in parts), strict=True)
    own = zip(*map(np.concatenate, columns), strict=True)
    for sequence in sequences:
        mean, std, upper = next(own)
        if sequence.count("N") / len(sequence) > 0.5:
            assert np.isnan([mean, std, upper]).all()
            continue
        last = max(0, len(sequence) - 6)
        windows = [sequence[s : s + 6] for s in (*range(0, last, stride or 3), last)]
        expected = [np.mean([w.count(base) for w in windows]) for base in "AC"]
        np.testing.assert_allclose(mean, expected)
        np.testing.assert_allclose(std, np.array(expected) / 10)
        np.testing.assert_allclose(upper, np.array(expected) + 0.5)


def test_wrong_lengths_are_counted_to_the_end_of_the_file():
    sequences = ["ACGTAC"] * 4 + ["AC", "ACGTAC", "ACG"] + ["ACGTAC"] * 3 + ["A"]
    for done in ((), (3,)):
        with pytest.raises(InputError) as caught:
            run(sequences, part=3, done=done)
        assert str(caught.value) == (
            "x.fa: 3 of 11 sequences have other lengths than 6 (the first: s4, 2 bases); use --fit "
            "pad, centre or tile."
        )


def test_what_is_done_is_read_and_not_predicted():
    sequences = ["ACGTAC", "AAAAAA", "CCCCCC"] * 5
    whole, _ = run(sequences, part=4)
    sizes = [len(names) for names, _ in whole]
    assert len(sizes) > 2
    for n in range(len(sizes) + 1):
        rest, models = run(sequences, part=4, done=sizes[:n])
        assert [names for names, _ in rest] == [names for names, _ in whole[n:]]
        assert sum(models.calls) == sum(sizes[n:])
        for (_, a), (_, b) in zip(rest, whole[n:], strict=True):
            np.testing.assert_array_equal(a.mean, b.mean)


@pytest.mark.parametrize("done", [[2], [100], [6, 100]])
def test_what_is_done_is_not_of_this_file(done):
    with pytest.raises(InputError, match="other sequences"):
        run(["ACGTAC"] * 9, part=4, done=done)


# The table

SETTINGS = {"level": 0.9}


def made(names=("s0", "s1", "s2"), targets=("A", "C"), levels=(0.9,), **models):
    columns = Columns(targets, levels)
    schema = columns.schema(SETTINGS)
    own = Counting(**models)
    codes = np.array([[0, 0, 1, 4, 4, 4], [4] * 6, [1] * 6], np.uint8)
    found = own.estimate(codes, both_strands=False, levels=levels, interval="")
    found.mean[1] = np.nan
    return schema, columns.table(list(names), found, schema)


def written(form, schema, *tables):
    stream = io.BytesIO()
    with into_stream(form, stream, schema) as write:
        for one in tables:
            write(one)
    return stream.getvalue()


def test_the_columns_of_a_table():
    assert Columns(("leaf", "root"), (0.9,)).names == [
        *("id", "leaf", "leaf_std", "leaf_lower", "leaf_upper"),
        *("root", "root_std", "root_lower", "root_upper"),
    ]
    levels = ("50", "97.5", "90", "0.001", "10")
    names = Columns(("a",), (0.5, 0.975, 0.9, 1e-05, 0.1)).names
    assert names[3:] == [f"a_{end}_{level}" for level in levels for end in ("lower", "upper")]


@pytest.mark.parametrize(
    ("targets", "name"),
    [(("leaf", "leaf_std"), "leaf_std"), (("a_lower", "a"), "a_lower"), (("id",), "id")],
)
def test_columns_of_one_name_are_refused(targets, name):
    with pytest.raises(InputError, match=f"two columns would be called {name};"):
        Columns(targets, (0.9,))


def test_tsv():
    text = written("tsv", *made()).decode()
    assert text == (
        "id\tA\tA_std\tA_lower\tA_upper\tC\tC_std\tC_lower\tC_upper\n"
        "s0\t2\t0.2\t1.1\t2.9\t1\t0.1\t0.1\t1.9\n"
        "s1\t\t\t\t\t\t\t\t\n"
        "s2\t0\t0\t-0.9\t0.9\t6\t0.6\t5.1\t6.9\n"
    )


def test_what_is_not_predicted_is_empty():
    text = written("tsv", *made(std=False, intervals=False)).decode()
    assert text.splitlines()[1:] == [
        "s0\t2\t\t\t\t1\t\t\t",
        "s1" + "\t" * 8,
        "s2\t0\t\t\t\t6\t\t\t",
    ]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=3, max_size=3))
def test_any_id_is_read_back(names):
    text = written("tsv", *made(names)).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True))
    assert [row[0] for row in rows] == ["id", *names]
    assert {len(row) for row in rows} == {9}


def test_infinite_ends_are_written_and_counted():
    schema, one = made()
    endless = [pa.array([-np.inf, None, np.inf], pa.float32())] * 2
    one = one.set_column(3, schema.field(3), endless[0]).set_column(4, schema.field(4), endless[1])
    counts = {}
    text = written("tsv", schema, *counted([one, one], counts)).decode()
    assert text.splitlines()[3] == "s2\t0\t0\tinf\tinf\t6\t0.6\t5.1\t6.9"
    assert text.splitlines()[1].split("\t")[3] == "-inf"
    assert counts == {"rows": 6, "missing": 2, "infinite": 8}


def test_parquet(tmp_path):
    schema, one = made()
    with into_file("parquet", tmp_path / "x.parquet", schema) as write:
        write(one)
        write(one)
    read = pq.read_table(tmp_path / "x.parquet")
    assert read.column("A").to_pylist() == [2, None, 0] * 2
    assert json.loads(read.schema.metadata[b"degu"]) == SETTINGS
    assert read.schema.field("A_lower").metadata == {
        b"content": b"lower end of an interval of a measurement",
        b"units": b"units of A as the models learned it",
    }
    assert pq.read_table(io.BytesIO(written("parquet", schema, one, one))).equals(read)


def test_hdf5(tmp_path):
    from degu.io.hdf5 import open_hdf5

    schema, one = made(("s0", "α", "s2"))
    with into_file("hdf5", tmp_path / "x.h5", schema) as write:
        write(one)
        write(one)
    with open_hdf5(tmp_path / "x.h5") as file:
        assert list(file["id"].asstr()) == ["s0", "α", "s2"] * 2
        np.testing.assert_array_equal(file["C_std"], np.float32([0.1, np.nan, 0.6] * 2))
        assert file["A_std"].attrs["content"] == "epistemic standard deviation"
        assert json.loads(file.attrs["degu"]) == SETTINGS
    before = (tmp_path / "x.h5").read_bytes()
    with into_file("hdf5", tmp_path / "x.h5", schema) as write:
        write(one)
        write(one)
    assert (tmp_path / "x.h5").read_bytes() == before
    schema, _ = made(targets=("a/b", "C"))
    with (
        pytest.raises(InputError, match="no arrays named a/b"),
        into_file("hdf5", tmp_path / "y.h5", schema),
    ):
        pass
    assert not (tmp_path / "y.h5").exists()


def test_a_gzipped_tsv(tmp_path):
    schema, one = made()
    for name in ("x.tsv.gz", "y.tsv.gz"):
        with into_file("tsv", tmp_path / name, schema) as write:
            write(one)
    assert gzip.decompress((tmp_path / "x.tsv.gz").read_bytes()) == written("tsv", schema, one)
    assert (tmp_path / "x.tsv.gz").read_bytes() == (tmp_path / "y.tsv.gz").read_bytes()


def test_the_format_of_a_name():
    named = {
        "x.parquet": "parquet",
        "x.h5": "hdf5",
        "x.tsv.gz": "tsv",
        "x": "tsv",
        "x.hdf5": "hdf5",
    }
    assert {name: format_of(name) for name in named} == named
    assert format_of(None) == "tsv"


# The journal

ABOUT = {"sequences": "0a", "models": "0b", "options": [1, None]}


class Killed(BaseException):
    """As a signal ends a process, but for what cannot be tested in one."""


def journal(folder, schema=None):
    return Journal(folder / "out.tsv", schema or made()[0])


def begun(folder, *tables):
    own = journal(folder)
    stopped(own, tables, Killed())
    return own.folder


def stopped(own, tables, error):
    """Add tables, until an error comes."""
    with suppress(type(error)), own.open(ABOUT, resume=False):
        for one in tables:
            own.add(one)
        raise error


def test_a_journal_stays_until_its_output_is_made(tmp_path):
    _, one = made()
    folder = begun(tmp_path, one, one.slice(0, 2))
    assert folder == tmp_path / ".out.tsv.degu"
    own = journal(tmp_path)
    with own.open(ABOUT, resume=True):
        assert own.done == [3, 2]
        own.add(one.slice(1))
        assert own.done == [3, 2, 2]
        assert pa.concat_tables(own.tables()).equals(
            pa.concat_tables([one, one.slice(0, 2), one.slice(1)])
        )
    assert not list(tmp_path.iterdir())


def test_without_resume_it_begins_anew(tmp_path):
    begun(tmp_path, made()[1])
    own = journal(tmp_path)
    with own.open({"sequences": "other"}, resume=False):
        assert own.done == []
        assert sorted(p.name for p in own.folder.iterdir()) == ["journal.json", "lock"]
    assert not list(tmp_path.iterdir())


def test_with_nothing_there_resume_begins(tmp_path):
    own = journal(tmp_path)
    with own.open(ABOUT, resume=True):
        assert own.done == []


@pytest.mark.parametrize("name", list(ABOUT))
def test_a_journal_of_something_else_is_refused(tmp_path, name):
    folder = begun(tmp_path, made()[1])
    with (
        pytest.raises(InputError, match=f"since other {name} had begun it") as caught,
        journal(tmp_path).open(ABOUT | {name: "new"}, resume=True),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert (folder / "000000.arrow").exists()


def test_a_journal_goes_where_the_input_is_wrong(tmp_path):
    stopped(journal(tmp_path), [made()[1]], InputError("x.fa is wrong."))
    assert not list(tmp_path.iterdir())


def test_one_process_at_a_time(tmp_path):
    with (
        journal(tmp_path).open(ABOUT, resume=False),
        pytest.raises(InputError, match="being written by another process"),
        journal(tmp_path).open(ABOUT, resume=False),
    ):
        pass


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "text": lambda content: b"ARROW1\0\0 but not really" * 9,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_part_is_refused(tmp_path, name):
    folder = begun(tmp_path, made()[1], made()[1])
    path = folder / "000001.arrow"
    path.write_bytes(DAMAGES[name](path.read_bytes()))
    refused(tmp_path, str(path))


@given(st.data())
def test_flipped_bytes_are_refused_or_read(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")
    path = begun(folder, made()[1]) / "000000.arrow"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    own = journal(folder)
    try:
        with own.open(ABOUT, resume=True):
            list(own.tables())
    except InputError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_a_damaged_journal_is_refused(tmp_path):
    folder = begun(tmp_path, made()[1])
    for content in ("{", "[" * 100_000, '"text"', "\0"):
        (folder / "journal.json").write_text(content)
        refused(tmp_path, "--resume")
    own = journal(tmp_path, made(levels=(0.5, 0.6))[0])
    (folder / "journal.json").write_text(json.dumps({"format": 1, **ABOUT}))
    with pytest.raises(InputError, match="other columns"), own.open(ABOUT, resume=True):
        pass


def refused(folder: Path, words: str) -> None:
    with pytest.raises(InputError) as caught, journal(folder).open(ABOUT, resume=True):
        pass
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "n"),
    [
        (">a\nA\n>b\nA\nC\n", 2),
        (">a\nA", 1),
        ("sequence\nA\nC\n", 3),
        ("", 0),
        (">a\n" + "A\n" * 2**20 + ">b\nA\n", 2),
    ],
)
def test_how_many_sequences_there_are_about(tmp_path, content, n, zipped):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    assert count_records(path) == n
    assert count_records(tmp_path) is None


def test_hdf5_is_what_h5py_reads(tmp_path):
    schema, one = made()
    with into_file("hdf5", tmp_path / "x.h5", schema) as write:
        write(one)
    with h5py.File(tmp_path / "x.h5") as file:
        assert set(file) == set(schema.names)
