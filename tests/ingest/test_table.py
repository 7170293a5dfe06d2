"""degu.ingest.table: what is written in a table is what is read, or a sentence says why not."""

import csv
import gzip
import hashlib
import itertools
import re
import statistics
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.dataset import SPLITS, read_info, read_split
from degu.errors import InputError
from degu.ingest import table
from degu.sequences import decode

HEADER = ["id", "sequence", "leaf", "root", "split", "gene"]
ROWS = [
    ["a", "ACGTN", "1.5", "-2", "train", "g1"],
    ["b", "CCGTA", "0.25", "3e-2", "train", "g1"],
    ["c", "TTTTT", "-1", "0", "val", "g2"],
    ["d", "ACACA", "2", "+.5", "test", "g3"],
]


def configured(path, **changes):
    defaults = {
        "source": "table",
        "path": str(path),
        "sequence_column": "sequence",
        "id_column": "id",
        "split_column": "split",
        "split": None,
        "replicates": {},
        "units": "log2 enrichment",
    }
    return defaults | changes


def written(path, rows=ROWS, header=HEADER, delimiter="\t", encoding="utf-8", end="\n"):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator=end)
        writer.writerows([header, *rows])
    return path


def changed(row, column, value):
    """The rows, one cell of them changed; rows count from 0."""
    rows = [list(fields) for fields in ROWS]
    rows[row][HEADER.index(column)] = value
    return rows


def refusal(data, targets=("leaf", "root")):
    """The message with which the table is refused; nothing may be left behind."""
    with tempfile.TemporaryDirectory() as directory:
        with pytest.raises(InputError) as caught:
            table.ingest(data, targets, Path(directory) / "dataset.h5", 1)
        assert not list(Path(directory).iterdir())
    return str(caught.value)


def assert_is_rows(splits):
    assert decode(splits["Train"].x) == ["ACGTN", "CCGTA"]
    assert decode(splits["Val"].x) == ["TTTTT"]
    assert decode(splits["Test"].x) == ["ACACA"]
    np.testing.assert_array_equal(splits["Train"].y, np.float32([[1.5, -2], [0.25, 0.03]]))
    np.testing.assert_array_equal(splits["Test"].y, np.float32([[2, 0.5]]))
    assert list(splits["Train"].id) == ["a", "b"]
    assert all(splits[name].y_std is splits[name].y_replicates is None for name in SPLITS)


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [
        ("a.tsv", "\t"),
        ("a.csv", ","),
        ("a.txt", "\t"),
        ("a.tsv.gz", "\t"),
        ("a.CSV.GZ", ","),
        ("a.v2.tab", "\t"),
        ("semicolons.csv", ";"),
        ("commas.txt", ","),
        ("no_suffix", ","),
    ],
)
def test_separators_and_compression(tmp_path, name, delimiter):
    path = written(tmp_path / name, delimiter=delimiter)
    table.preflight(configured(path), ["leaf", "root"])
    assert_is_rows(table.read(configured(path), ["leaf", "root"], 1))


def test_compression_is_told_by_content(tmp_path):
    plain = written(tmp_path / "plain.tsv")
    disguised = tmp_path / "gzipped.tsv"
    disguised.write_bytes(gzip.compress(plain.read_bytes()))
    assert_is_rows(table.read(configured(disguised), ["leaf", "root"], 1))
    pretended = tmp_path / "plain.tsv.gz"
    pretended.write_bytes(plain.read_bytes())
    assert_is_rows(table.read(configured(pretended), ["leaf", "root"], 1))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_byte_order_mark_and_blank_lines(tmp_path, end, encoding):
    path = written(tmp_path / "a.tsv", end=end, encoding=encoding)
    path.write_bytes(path.read_bytes() + 2 * end.encode())
    assert_is_rows(table.read(configured(path), ["leaf", "root"], 1))


def test_order_of_targets_is_the_configs_and_lower_case_is_upper(tmp_path):
    rows = [[*row[:1], row[1].lower(), *row[2:]] for row in ROWS]
    splits = table.read(configured(written(tmp_path / "a.tsv", rows)), ["root", "leaf"], 1)
    assert decode(splits["Train"].x) == ["ACGTN", "CCGTA"]
    np.testing.assert_array_equal(splits["Train"].y, np.float32([[-2, 1.5], [0.03, 0.25]]))


def test_data_set_says_what_it_is_and_does_not_depend_on_the_format(tmp_path):
    first = written(tmp_path / "a.tsv")
    second = written(tmp_path / "b.csv.gz", delimiter=",")
    out = [tmp_path / "1.h5", tmp_path / "2.h5"]
    for path, target in zip((first, second), out, strict=True):
        table.ingest(configured(path, units="RPM"), ["leaf", "root"], target, 1)
    info = read_info(out[0])
    assert (info.targets, info.units, info.source) == (("leaf", "root"), "RPM", "table a.tsv")
    assert info.sizes == {"Train": 2, "Val": 1, "Test": 1}
    assert info.sha256 == read_info(out[1]).sha256
    train = read_split(out[0], "Train", fields=("x", "y", "id"))
    assert decode(train.x) == ["ACGTN", "CCGTA"]
    assert list(train.id) == ["a", "b"]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("train", "Train"),
        ("TRAIN", "Train"),
        ("Val", "Val"),
        ("valid", "Val"),
        ("Validation", "Val"),
        (" test ", "Test"),
    ],
)
def test_spellings_of_splits(tmp_path, spelling, name):
    rows = [*ROWS, ["e", "GGGGG", "7", "7", spelling, "g1"]]
    splits = table.read(configured(written(tmp_path / "a.tsv", rows)), ["leaf"], 1)
    assert decode(splits[name].x)[-1] == "GGGGG"


def test_words_that_other_readers_take_for_missing(tmp_path):
    rows = [["NA", "NA", 1, "train"], ["null", "na", 2, "val"], ["nan", "NN", 3, "test"]]
    path = written(tmp_path / "a.csv", rows, ["id", "sequence", "leaf", "split"], ",")
    splits = table.read(configured(path), ["leaf"], 1)
    assert [decode(splits[name].x) for name in SPLITS] == [["NA"], ["NA"], ["NN"]]
    assert [list(splits[name].id) for name in SPLITS] == [["NA"], ["null"], ["nan"]]


def test_columns_without_a_name_in_the_config_may_hold_anything(tmp_path):
    rows = [[*row, junk] for row, junk in zip(ROWS, ["", "NaN", "ü, \t", '"\n'], strict=True)]
    path = written(tmp_path / "a.csv", rows, [*HEADER, "notes"], ",")
    data = configured(path, id_column=None)
    splits = table.read(data, ["leaf", "root"], 1)
    assert all(splits[name].id is None for name in SPLITS)
    assert len(splits["Train"]) == 2


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=6
).filter(str.strip)


@st.composite
def tables(draw):
    """(id, sequence, two values, split) rows, each split with a row, ids of their own."""
    length = draw(st.integers(1, 6))
    n = draw(st.integers(3, 12))
    sequence = st.text("ACGTNacgtn", min_size=length, max_size=length)
    others = draw(st.lists(st.sampled_from(SPLITS), min_size=n - 3, max_size=n - 3))
    ids = draw(st.lists(words, min_size=n, max_size=n, unique=True))
    order = draw(st.permutations([*SPLITS, *others]))
    return [
        (label, draw(sequence), draw(finite), draw(finite), split)
        for label, split in zip(ids, order, strict=True)
    ]


@given(
    rows=tables(), name=st.sampled_from(["a.csv", "a.tsv.gz", "a.txt"]), end=st.sampled_from("\n\r")
)
def test_what_is_written_is_read(rows, name, end):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        written(
            path,
            [(label, text, repr(a), repr(b), split) for label, text, a, b, split in rows],
            ["id", "sequence", "leaf", "root", "split"],
            "," if name == "a.csv" else "\t",
            end=end,
        )
        splits = table.read(configured(path), ["leaf", "root"], 1)
    for split in SPLITS:
        kept = [row for row in rows if row[4] == split]
        assert list(splits[split].id) == [row[0] for row in kept]
        assert decode(splits[split].x) == [row[1].upper() for row in kept]
        np.testing.assert_array_equal(splits[split].y, np.float32([row[2:4] for row in kept]))


# Replicates


@given(
    st.lists(
        st.lists(
            st.one_of(
                st.floats(-100, 100), st.sampled_from(["", "NA", "nan", "N/A", "null", "None"])
            ),
            min_size=3,
            max_size=3,
        ).filter(lambda row: any(isinstance(value, float) for value in row)),
        min_size=3,
        max_size=8,
    )
)
def test_replicates_give_mean_and_std(replicates):
    rows = [
        ["ACGT", *values, "5", split]
        for values, split in zip(replicates, itertools.cycle(SPLITS), strict=False)
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = written(
            Path(directory) / "a.tsv", rows, ["sequence", "r1", "r2", "r3", "leaf", "split"]
        )
        data = configured(path, id_column=None, replicates={"mean": ["r1", "r2", "r3"]})
        splits = table.read(data, ["leaf", "mean"], 1)
    for i, split in enumerate(SPLITS):
        present = [[v for v in row if isinstance(v, float)] for row in replicates[i::3]]
        means = [statistics.mean(values) for values in present]
        stds = [statistics.stdev(values) if len(values) > 1 else np.nan for values in present]
        np.testing.assert_allclose(splits[split].y[:, 1], means, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(splits[split].y_std[:, 1], stds, rtol=1e-4, atol=1e-5)
        assert (splits[split].y[:, 0] == 5).all()
        assert np.isnan(splits[split].y_std[:, 0]).all()
        assert splits[split].y_std.dtype == np.float32
        counts = [[0, len(values)] for values in present]
        np.testing.assert_array_equal(splits[split].y_replicates, counts)


def test_replicates_replace_a_column_of_the_targets_name(tmp_path):
    rows = [["ACGT", "unread", "1", "3", split] for split in SPLITS]
    path = written(tmp_path / "a.tsv", rows, ["sequence", "leaf", "r1", "r2", "split"])
    data = configured(path, id_column=None, replicates={"leaf": ["r1", "r2"]})
    splits = table.read(data, ["leaf"], 1)
    assert splits["Val"].y.tolist() == [[2.0]]
    assert splits["Val"].y_std == pytest.approx(np.sqrt(2))


def test_no_replicate_and_infinite_replicate_are_refused(tmp_path):
    header = ["sequence", "r1", "r2", "split"]
    data = configured(
        tmp_path / "a.tsv", id_column=None, replicates={"leaf": ["r1", "r2"]}, split_column="split"
    )
    rows = [["ACGT", "1", "2", split] for split in SPLITS]
    rows[1][1:3] = ["NA", ""]
    written(tmp_path / "a.tsv", rows, header)
    assert "line 3, columns 'r1', 'r2': no replicate of leaf" in refusal(data, ["leaf"])
    rows[1][1:3] = ["inf", "2"]
    written(tmp_path / "a.tsv", rows, header)
    assert "line 3, column 'r1': 'inf' is not a finite number" in refusal(data, ["leaf"])


# Drawn splits


def test_draw_takes_the_shares_in_the_order_of_the_hash():
    labels = [f"s{i}" for i in range(100)]
    ranked = sorted(labels, key=lambda s: hashlib.sha256(f"7|split|{s}".encode()).hexdigest())
    expected = dict.fromkeys(ranked, 0) | dict.fromkeys(ranked[:20], 1)
    expected |= dict.fromkeys(ranked[20:50], 2)
    drawn = table.draw_splits(labels, 0.2, 0.3, 7)
    assert drawn.tolist() == [expected[label] for label in labels]


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    val=st.floats(0.05, 0.45),
    test=st.floats(0.05, 0.45),
    seed=st.integers(0, 2**31 - 1),
    shuffle=st.randoms(use_true_random=False),
)
def test_groups_stay_together_whatever_the_order_of_rows(sizes, val, test, seed, shuffle):
    labels = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    drawn = table.draw_splits(labels, val, test, seed)
    assert drawn.shape == (len(labels),)
    owner = dict(zip(labels, drawn.tolist(), strict=True))
    assert [owner[label] for label in labels] == drawn.tolist()

    shuffled = shuffle.sample(labels, len(labels))
    again = table.draw_splits(shuffled, val, test, seed)
    assert dict(zip(shuffled, again.tolist(), strict=True)) == owner

    # No group outside could bring a split closer: it would have to be under twice what lacks.
    counts = Counter(labels)
    for split, share in ((1, val), (2, test)):
        goal = round(share * len(labels))
        outside = [counts[g] for g, s in owner.items() if s not in range(1, split + 1)]
        off = goal - int((drawn == split).sum())
        assert not outside or abs(off) <= min(outside) / 2


@given(st.integers(3, 300), st.integers(0, 10**6))
def test_single_rows_reach_the_shares_exactly(n, seed):
    drawn = table.draw_splits([str(i) for i in range(n)], 0.1, 0.25, seed)
    assert np.bincount(drawn, minlength=3)[1:].tolist() == [round(0.1 * n), round(0.25 * n)]


def test_seed_matters_and_an_added_row_moves_few_others():
    labels = [f"s{i}" for i in range(1000)]
    drawn = table.draw_splits(labels, 0.1, 0.1, 1)
    other = table.draw_splits(labels, 0.1, 0.1, 2)
    # Two independent splits put a row into the same one with probability .8² + 2 · .1² = .66.
    assert 0.6 < (drawn == other).mean() < 0.72
    longer = table.draw_splits([*labels, "new"], 0.1, 0.1, 1)
    assert (longer[:1000] != drawn).sum() <= 2


def many(path, n=60, **columns):
    rng = np.random.default_rng(3)
    values = {
        "id": [f"s{i}" for i in range(n)],
        "sequence": ["".join(s) for s in rng.choice(list("ACGT"), (n, 12))],
        "gene": [f"g{i // 3}" for i in range(n)],
        "leaf": rng.normal(size=n),
    } | columns
    return written(path, zip(*values.values(), strict=True), list(values))


def membership(data):
    """Split of each sequence."""
    splits = table.read(data, ["leaf"], 11)
    return {text: name for name in SPLITS for text in decode(splits[name].x)}


def test_drawn_split_depends_on_its_labels_alone(tmp_path):
    path = many(tmp_path / "a.tsv")
    for drawn_from in (
        {"split_column": None},
        {"split_column": None, "id_column": None},
        {"split_column": None, "split": {"val": 0.2, "test": 0.2, "group_column": "gene"}},
    ):
        data = configured(path, **drawn_from)
        expected = membership(data)
        rows = list(csv.reader(path.open(), delimiter="\t"))
        reversed_columns = [[f"n{i}", *row[::-1]] for i, row in enumerate(rows)]
        other = tmp_path / "b.tsv"
        written(other, reversed_columns[:0:-1], reversed_columns[0])
        assert membership(data | {"path": str(other)}) == expected


def test_defaults_of_a_drawn_split(tmp_path):
    splits = table.read(configured(many(tmp_path / "a.tsv"), split_column=None), ["leaf"], 11)
    assert {name: len(split) for name, split in splits.items()} == {
        "Train": 48,
        "Val": 6,
        "Test": 6,
    }


def test_rows_of_a_group_of_an_id_or_of_a_sequence_are_not_torn_apart(tmp_path):
    path = many(tmp_path / "a.tsv")
    split = {"val": 0.2, "test": 0.2, "group_column": "gene"}
    splits = table.read(configured(path, split_column=None, split=split), ["leaf"], 11)
    genes = {name: {int(label[1:]) // 3 for label in splits[name].id} for name in SPLITS}
    assert sum(map(len, genes.values())) == 20
    assert [len(splits[name]) for name in SPLITS] == [36, 12, 12]

    path = many(tmp_path / "b.tsv", id=[f"s{i // 2}" for i in range(60)])
    splits = table.read(configured(path, split_column=None), ["leaf"], 11)
    assert sum(len(set(splits[name].id)) for name in SPLITS) == 30

    texts = [f"{i // 2:06b}".replace("0", "A").replace("1", "C") for i in range(60)]
    path = many(tmp_path / "c.tsv", sequence=texts)
    data = configured(path, split_column=None, id_column=None)
    splits = table.read(data, ["leaf"], 11)
    assert sum(len(set(decode(splits[name].x))) for name in SPLITS) == 30


# Bad input


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, "sequence", "ACGT", "4 bases where line 2 has 5"),
        (3, "sequence", "ACGXT", "'X' at position 4"),
        (2, "sequence", "ACG T", "' ' at position 4"),
        (0, "sequence", "ACGTÄ", "'Ä' at position 5"),
        (1, "sequence", "", "the sequence is missing"),
        (1, "leaf", "", "there is no value"),
        (1, "leaf", "NA", "'NA' is not a finite number"),
        (1, "root", "nan", "'nan' is not a finite number"),
        (1, "root", "-inf", "'-inf' is not a finite number"),
        (1, "root", "1,5", "'1,5' is not a finite number"),
        (1, "root", "1_000", "'1_000' is not a finite number"),
        (1, "root", "0x1F", "'0x1F' is not a finite number"),
        (1, "root", "١٢", "'١٢' is not a finite number"),
        (1, "root", "1e39", "beyond the range of float32"),
        (1, "root", "-1e999", "beyond the range of float32"),
        (2, "split", "dev", "'dev' is not a split"),
        (2, "split", "", "'' is not a split"),
        (3, "id", "a", "the id 'a' is in Test, but in Train at line 2"),
        (3, "id", " ", "' ' is no name"),
        (3, "id", "a\0b", "'a\\x00b' is no name"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, row, column, value, message):
    path = written(tmp_path / "a.tsv", changed(row, column, value))
    said = refusal(configured(path))
    assert said.startswith(f"{path}, line {row + 2}, column {column!r}: ")
    assert message in said


def test_lines_are_counted_as_an_editor_does(tmp_path):
    rows = [[*row, "two\nlines"] for row in changed(2, "leaf", "x")]
    path = written(tmp_path / "a.csv", rows, [*HEADER, "notes"], ",")
    text = path.read_text()
    path.write_text(text.replace("\nb,", "\n\nb,"))
    number = next(i for i, line in enumerate(path.read_text().split("\n"), 1) if line[:2] == "c,")
    assert number == 7
    assert f"{path}, line 7, column 'leaf'" in refusal(configured(path))


@pytest.mark.parametrize("bad", [ROWS[2][:-1], [*ROWS[2], "extra"], ["x"]])
def test_ragged_rows(tmp_path, bad):
    path = written(tmp_path / "a.tsv", [*ROWS[:2], bad, ROWS[3]])
    said = refusal(configured(path))
    assert f"{path}, line 4: there are {len(bad)} fields where the header has 6 columns" in said


def test_an_empty_split_is_named(tmp_path):
    path = written(tmp_path / "a.tsv", changed(3, "split", "train"))
    said = refusal(configured(path))
    assert f"{path}, column 'split': no row of 4 is in the split Test" in said
    # Four rows have no tenth.
    path = written(tmp_path / "b.tsv")
    assert "data.split: " in refusal(configured(path, split_column=None))
    # One gene is all there is.
    path = many(tmp_path / "c.tsv", gene=["g"] * 60)
    split = {"val": 0.2, "test": 0.2, "group_column": "gene"}
    said = refusal(configured(path, split_column=None, split=split), ["leaf"])
    assert "Val would be empty" in said


def test_duplicate_ids_within_a_split_are_allowed(tmp_path):
    path = written(tmp_path / "a.tsv", changed(1, "id", "a"))
    assert list(table.read(configured(path), ["leaf"], 1)["Train"].id) == ["a", "a"]


def test_an_id_torn_apart_by_its_groups_is_refused(tmp_path):
    path = many(tmp_path / "a.tsv", id=["same"] * 60)
    split = {"val": 0.2, "test": 0.2, "group_column": "gene"}
    said = refusal(configured(path, split_column=None, split=split), ["leaf"])
    assert re.search(r"line \d+, column 'id': the id 'same' is in", said)


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_truncated_gzip(tmp_path, keep):
    path = many(tmp_path / "a.tsv.gz", 2000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    data = configured(path, split_column=None)
    table.preflight(data, ["leaf"])
    assert f"{path} is a damaged or truncated gzip file, readable to about line" in refusal(
        data, ["leaf"]
    )


def test_damaged_gzip(tmp_path):
    path = many(tmp_path / "a.tsv.gz", 2000)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # the checksum of what was compressed
    path.write_bytes(content)
    assert "damaged or truncated" in refusal(configured(path, split_column=None), ["leaf"])
    path.write_bytes(content[:11])
    with pytest.raises(InputError, match="damaged or truncated"):
        table.preflight(configured(path), ["leaf"])


@pytest.mark.parametrize("column", HEADER)
def test_text_that_is_not_utf8(tmp_path, column):
    path = written(tmp_path / "a.tsv", changed(2, column, "caf\xe9"), encoding="latin-1")
    said = refusal(configured(path))
    assert said.startswith(f"{path}, line 4, column {column!r}: the text is not UTF-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty or begins with a blank line"),
        (b"\n\n", "is empty or begins with a blank line"),
        (gzip.compress(b"", mtime=0), "is empty or begins with a blank line"),
        ("id\tsequence".encode("utf-16"), "is not text"),
        (b"caf\xe9\tsequence\n", "line 1, column 1: the text is not UTF-8"),
        (b"id\tsequence\tleaf\troot\tsplit\tleaf\n", "2 columns named 'leaf'"),
        (b"id\tsequence\tleaf\troot\tsplit\tx\tx\n", "2 columns named 'x'"),
        (b'id\t"sequence\tleaf\n', "look for a quotation mark"),
    ],
)
def test_headers_that_are_refused_before_any_job(tmp_path, content, message):
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        table.preflight(configured(path), ["leaf", "root"])
    assert str(path) in str(caught.value)
    assert message in refusal(configured(path))


def test_header_without_rows(tmp_path):
    path = written(tmp_path / "a.tsv", [])
    table.preflight(configured(path), ["leaf", "root"])
    assert f"{path} has a header but no rows" in refusal(configured(path))


def test_quotation_mark_that_is_not_closed(tmp_path):
    path = written(tmp_path / "a.tsv")
    path.write_text(path.read_text().replace("\nb\t", '\n"b\t'))
    assert f"{path}, line 3: the row is not well formed" in refusal(configured(path))


@pytest.mark.parametrize(
    ("key", "changes", "targets"),
    [
        ("data.sequence_column", {"sequence_column": "seq"}, ["leaf"]),
        ("data.id_column", {"id_column": "seq"}, ["leaf"]),
        ("data.split_column", {"split_column": "seq"}, ["leaf"]),
        (
            "data.split.group_column",
            {"split_column": None, "split": {"val": 0.1, "test": 0.1, "group_column": "seq"}},
            ["leaf"],
        ),
        ("targets", {}, ["leaf", "seq"]),
        ("data.replicates.leaf", {"replicates": {"leaf": ["root", "seq"]}}, ["leaf"]),
    ],
)
def test_a_missing_column_is_named_with_its_key(tmp_path, key, changes, targets):
    path = written(tmp_path / "a.tsv")
    expected = f"{key}: {path} has no column 'seq'; it has id, sequence, leaf, root, split, gene."
    with pytest.raises(InputError) as caught:
        table.preflight(configured(path, **changes), targets)
    assert str(caught.value) == expected
    assert refusal(configured(path, **changes), targets) == expected


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("data.path: name the file", {"path": None}),
        ("data.split: is given beside data.split_column", {"split": {"val": 0.1, "test": 0.1}}),
        ("data.split.val: 1.2", {"split_column": None, "split": {"val": 1.2, "test": 0.1}}),
        ("data.split.test: 0", {"split_column": None, "split": {"val": 0.2, "test": 0}}),
        ("leave nothing to train on", {"split_column": None, "split": {"val": 0.5, "test": 0.5}}),
        ("data.replicates: 'stem' is not one", {"replicates": {"stem": ["leaf", "root"]}}),
        ("data.replicates.leaf: list two or more", {"replicates": {"leaf": ["root"]}}),
        ("data.replicates.leaf: list two or more", {"replicates": {"leaf": ["root", "root"]}}),
    ],
)
def test_options_that_contradict_each_other(tmp_path, message, changes):
    path = written(tmp_path / "a.tsv")
    with pytest.raises(InputError, match=re.escape(message)):
        table.preflight(configured(path) | changes, ["leaf", "root"])


def test_preflight_wants_a_file_and_reads_its_first_line_only(tmp_path):
    for path, message in ((tmp_path, "is a directory"), (tmp_path / "no.tsv", "does not exist")):
        with pytest.raises(InputError, match=f"^data.path: {path} {message}"):
            table.preflight(configured(path), ["leaf"])
    path = tmp_path / "a.tsv"
    path.write_bytes("\t".join(HEADER).encode() + b"\n\xff\xff\x00 anything at all")
    table.preflight(configured(path), ["leaf", "root"])


def test_a_drawn_split_tears_no_sequence_apart(tmp_path):
    """Not under two ids, not on two strands, not through a chain of both."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        sequence = "".join(rng.choice(list("ACGT"), 12))
        twin = sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1]
        # One family: the sequence, its other strand, and another sequence under its id.
        other = "".join(rng.choice(list("ACGT"), 12))
        rows += [(f"a{i}", sequence), (f"b{i}", twin), (f"b{i}", other)]
    order = rng.permutation(len(rows))
    lines = [f"{rows[k][0]},{rows[k][1]},{k}" for k in order]
    path = tmp_path / "twins.csv"
    path.write_text("\n".join(["id,sequence,leaf", *lines]) + "\n")
    data = {
        "source": "table",
        "path": str(path),
        "sequence_column": "sequence",
        "id_column": "id",
        "split_column": None,
        "split": {"val": 0.2, "test": 0.2, "group_column": None},
        "replicates": {},
        "units": "",
    }
    splits = table.read(data, ["leaf"], seed=1)
    families = {name: {int(v) // 3 for v in split.y[:, 0]} for name, split in splits.items()}
    assert sum(len(f) for f in families.values()) == 60
    assert all(len(splits[name]) == 3 * len(families[name]) for name in families)


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv"])
def test_a_workbook_is_named_as_what_it_is(tmp_path, name):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as workbook:  # as Excel writes it
        workbook.writestr("[Content_Types].xml", "<Types/>")
        workbook.writestr("xl/workbook.xml", "<workbook/>")
    words = f"{path} is an Excel file or another archive; save the sheet as CSV in UTF-8"
    assert refusal(configured(path)).startswith(words)
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000))  # .xls
    assert refusal(configured(path)).startswith(words)
