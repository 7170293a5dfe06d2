"""degu.genomics.fasta: what is written as FASTA, however, reads back; the rest is refused."""

import gzip
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.errors import InputError
from degu.genomics import blocks, fasta
from degu.genomics.files import read_sequences
from degu.io.streams import open_source

LETTERS = "ACGTNRYSWKMBDHVacgtnryswkmbdhv"
IDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
RECORDS = st.lists(st.tuples(IDS, st.text(LETTERS, min_size=1, max_size=40)), min_size=1)


def read(path, rows=100, **options):
    """Ids and sequences, after a look at the sizes of blocks."""
    found = list(read_sequences(path, rows, **options))
    assert [len(block) for block in found[:-1]] == [rows] * (len(found) - 1)
    assert 0 < len(found[-1]) <= rows
    return [
        (name, sequence.decode())
        for block in found
        for name, sequence in zip(block.ids, block.sequences, strict=True)
    ]


def refusal(path):
    with pytest.raises(InputError) as caught:
        list(read_sequences(path, 100))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def made(tmp_path, content, name="a.fa"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@given(
    records=RECORDS,
    width=st.integers(1, 50),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    words=st.sampled_from(["", " of words > and more", "\tand a tab"]),
    blank=st.booleans(),
    mark=st.booleans(),
    last=st.booleans(),
    packed=st.booleans(),
    chunk=st.integers(1, 60),
    rows=st.integers(1, 5),
)
def test_however_it_is_written_it_reads_back(
    records, width, end, words, blank, mark, last, packed, chunk, rows
):
    lines = []
    for name, sequence in records:
        lines.append(f">{name}{words}")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
        lines += ["", " \t"] * blank
    text = (end * blank + end.join(lines) + end * last).encode()
    text = b"\xef\xbb\xbf" * mark + text
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasta, "_CHUNK", chunk)
        path = made(Path(folder), gzip.compress(text) if packed else text)
        assert read(path, rows) == records


@pytest.mark.skipif(not shutil.which("bgzip"), reason="there is no bgzip")
def test_a_bgzipped_file_is_read_and_a_cut_one_is_noticed(tmp_path):
    records = [(f"s{i}", "ACGTTGCANN"[i % 9 :] * 50) for i in range(2000)]
    path = made(tmp_path, "".join(f">{name}\n{bases}\n" for name, bases in records).encode())
    subprocess.run(["bgzip", path], check=True)
    packed = Path(f"{path}.gz")
    assert read(packed) == records
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-28])  # at the end of a block, which gzip takes for the end
    assert len(gzip.decompress(whole[:-28])) == len(gzip.decompress(whole))
    assert "truncated" in refusal(packed)


@pytest.mark.parametrize("keep", [3, 30, 0.5, -1])
def test_truncated_gzip(tmp_path, keep):
    text = "".join(f">{i * i}\n{bin(i**9)[2:]}\n" for i in range(1, 9999))
    whole = gzip.compress(text.replace("0", "A").replace("1", "C").encode())
    path = made(tmp_path, whole[: int(len(whole) * keep) if keep == 0.5 else keep])
    assert "is a damaged or truncated gzip file, readable to about line" in refusal(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \r\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b">a\nAC\n>\nGT\n", "line 3: the record has no id"),
        (b">a\nAC\n> \t\nGT\n", "line 3: the record has no id"),
        (b"\n\n>a\nAC\nGT\n\n>b\n>c\nGT\n", "line 7: the record 'b' has no sequence"),
        (b"\r\r>a\rAC\rGT\r\r>b\r \r>c\rGT\r", "line 7: the record 'b' has no sequence"),
        (b">a\r\nAC\r\n>b c", "line 3: the record 'b' has no sequence"),
        (b"some words\n>a\nAC\n", "line 1: a FASTA begins with '>' and an id, but this file with"),
        (b"\n@a\nAC\n+\nII\n", "line 2: this is FASTQ or SAM"),
        (b";a\n>a\nAC\n", "line 1: comments (';') are not supported"),
        (b">a;b\nAC\n;c\n>b\nGT\n", "line 3: comments (';') are not supported"),
        (b">a\nAC\n>\xff b\nGT\n", r"line 3: the id b'\xff' is not printable UTF-8"),
        (b">a\nAC\n>b\0\nGT\n", r"line 3: the id b'b\x00' is not printable UTF-8"),
        (">a\nAC\n".encode("utf-16"), "is not text in UTF-8, but in UTF-16"),
        (b"BZh91AY&SY", "is compressed by bzip2"),
        (b"\xfd7zXZ\0\0", "is compressed by xz"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 2**19])
def test_what_is_no_fasta(tmp_path, monkeypatch, content, message, chunk):
    monkeypatch.setattr(fasta, "_CHUNK", chunk)
    path = made(tmp_path, content)
    if not content.strip(b"\xef\xbb\xbf \r\n"):
        with open_source(path) as source, pytest.raises(InputError, match=message):
            list(fasta.read_fasta(source))
    assert re.search(re.escape(message), refusal(path))


def test_missing_files_and_folders(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.fa")
    assert "is a directory" in refusal(tmp_path)


def test_duplicate_and_unsorted_ids_stay_as_they_are(tmp_path):
    path = made(tmp_path, b">b\nAC\n>a x\nGT\n>b y\nTT\n")
    assert read(path, 2) == [("b", "AC"), ("a", "GT"), ("b", "TT")]


def test_a_record_larger_than_what_is_read_at_once(tmp_path):
    long = "ACGTN" * 400_000
    wrapped = "\n".join(long[i : i + 61] for i in range(0, len(long), 61))
    path = made(tmp_path, f">a\nAC\n>long\n{wrapped}\n>b\nGT\n".encode())
    assert read(path, 2) == [("a", "AC"), ("long", long), ("b", "GT")]


def test_a_record_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fasta, "LONGEST", 2**20)
    path = made(tmp_path, gzip.compress(b">a\nAC\n>b\n" + b"A" * 2**22))
    assert "line 3: the record is longer than 1,048,576 bytes" in refusal(path)


def test_long_sequences_come_in_smaller_blocks_whatever_the_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_BASES", 100)
    sizes = [30, 69, 1, 5, 200, 1, 1, 98, 2, 3, 4]
    content = "".join(f">{i}\n{'A' * size}\n" for i, size in enumerate(sizes))
    path = made(tmp_path, content.encode())
    for chunk in (7, 100, 2**19):
        monkeypatch.setattr(fasta, "_CHUNK", chunk)
        found = [[len(s) for s in block.sequences] for block in read_sequences(path, 4)]
        assert found == [[30, 69, 1], [5, 200], [1, 1, 98], [2, 3, 4]]


def test_a_pipe_is_read_once(tmp_path):
    text = b">a\nAC\n>b\nGT\n"
    for content in (text, gzip.compress(text)):
        code = (
            "from degu.genomics.files import read_sequences as r;"
            "print(*[b.ids for b in r('/dev/stdin', 9)])"
        )
        out = subprocess.run(
            [sys.executable, "-c", code], input=content, capture_output=True, check=True
        ).stdout
        assert out == b"['a', 'b']\n"
