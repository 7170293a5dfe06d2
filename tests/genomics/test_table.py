"""degu.genomics.table: sequences and ids of tables (degu.io.table: tests/ingest/test_table.py)."""

import csv
import gzip
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.errors import InputError
from degu.genomics.files import read_sequences

CELLS = st.text(st.characters(exclude_categories=["C"]), max_size=8)


def read(path, **options):
    return [
        (name, sequence.decode())
        for block in read_sequences(path, 3, **options)
        for name, sequence in zip(block.ids, block.sequences, strict=True)
    ]


def made(tmp_path, text, name="a.tsv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(
    rows=st.lists(
        st.tuples(CELLS.filter(str.strip), st.text("ACGTNacgtn", min_size=1, max_size=9), CELLS),
        min_size=1,
    ),
    order=st.permutations(range(3)),
    delimiter=st.sampled_from("\t,;"),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    packed=st.booleans(),
)
def test_however_it_is_written_it_reads_back(rows, order, delimiter, end, mark, packed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.tsv.gz" if packed else "a.csv")
        opener = gzip.open if packed else open
        with opener(path, "wt", newline="", encoding="utf-8-sig" if mark else "utf-8") as stream:
            writer = csv.writer(stream, delimiter=delimiter, lineterminator=end)
            for row in [("id", "sequence", "other"), *rows]:
                writer.writerow([row[i] for i in order])
        assert read(path) == [(name.strip(), sequence) for name, sequence, _ in rows]


@pytest.mark.parametrize(
    ("header", "options", "expected"),
    [
        ("id,sequence,name", {}, ("x", "AC")),
        ("name,seq,other", {}, ("x", "AC")),
        ("Sequence_ID,SEQUENCE,seq", {}, ("x", "AC")),
        ("seq_id,sequence,seq", {}, ("x", "AC")),
        ("sequence,other,id", {"sequence_column": "other"}, ("GT", "AC")),
        ("label,sequence,id", {"id_column": "label"}, ("x", "AC")),
        ("label,sequence,other", {}, ("1", "AC")),
    ],
)
def test_columns_are_found_or_told(tmp_path, header, options, expected):
    path = made(tmp_path, f"{header}\nx,AC,GT\n", "a.csv")
    assert read(path, **options) == [expected]


def test_rows_without_ids_are_counted_from_1_and_blank_lines_are_not(tmp_path):
    path = made(tmp_path, "sequence\nAC\n\n GT \nTT\nac\n")
    assert read(path) == [("1", "AC"), ("2", "GT"), ("3", "TT"), ("4", "ac")]


def test_long_sequences_fit_into_a_cell(tmp_path):
    assert read(made(tmp_path, f"sequence\n{'ACGT' * 100_000}\n")) == [("1", "ACGT" * 100_000)]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty; check the file"),
        ("\nsequence\nAC\n", {}, "is empty or begins with a blank line"),
        ("id\tsequence\n", {}, "has a header but no rows"),
        ("id\tbases\na\tAC\n", {}, "has no column 'sequence'; it has id, bases"),
        ("id\tsequence\na\tAC\n", {"id_column": "x"}, "has no column 'x'; it has id, sequence"),
        ("id\tsequence\na\tAC\n", {"sequence_column": "x"}, "has no column 'x'"),
        ("sequence\tsequence\nA\tAC\n", {}, "has 2 columns named 'sequence'"),
        ("id\tsequence\na\tAC\nb\t \n", {}, "line 3, column 'sequence': the sequence is missing"),
        ("id\tsequence\n\n\tAC\n", {}, "line 3, column 'id': '' is no id"),
        ('id\tsequence\n"a\tb"\tAC\n', {}, r"line 2, column 'id': 'a\tb' is no id"),
        ("id\tsequence\na\tAC\tx\n", {}, "line 2: there are 3 fields"),
        ('id\tsequence\n"a\tAC\n', {}, "line 2: the row is not well formed"),
        (b"id\tsequence\na\tA\xff\n", {}, "line 2, column 'sequence': the text is not UTF-8"),
        ("id\tsequence\na\tAC\n", {"summit": True}, "is a table, which has not a summit"),
        (">a\nAC\n", {"id_column": "x"}, "is a FASTA, which has not an id column"),
        ("##fileformat=VCFv4.2\n", {}, "is a VCF; `degu variants`"),
        ("track name=x\n#c\nchr1\t1\t20\n", {}, "looks like a BED; name the genome"),
        ("PK\x03\x04", {}, "is an Excel file"),
    ],
)
def test_what_is_no_table_of_sequences(tmp_path, text, options, message):
    path = made(tmp_path, text)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("degu.io.table._LONGEST_LINE", 1000)
    path = made(tmp_path, gzip.compress(b"sequence\nAC\n" + b"A" * 10_000))
    with pytest.raises(InputError, match="line 3: the line is longer than 1,000"):
        read(path)
