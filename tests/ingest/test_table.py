"""degu.ingest.table: what is written in a table is what is read, or a sentence says why not."""

import csv
import gzip
import hashlib
import itertools
import re
import statistics
import tempfile
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
    assert all(splits[name].y_std is None for name in SPLITS)


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

    path = many(
        tmp_path / "c.tsv", sequence=[f"{i // 2:06b}".translate("AC" * 99) for i in range(60)]
    )
