"""degu.genomics.bed: intervals as bedtools reads them, windows as they are described."""

import gzip
import random
import re
import shutil
import subprocess

import pytest

from degu.errors import InputError
from degu.genomics.files import read_sequences
from degu.genomics.genome import Genome

rng = random.Random(1)
CONTIGS = {
    "chr1": "".join(rng.choices("ACGTNRYSWKMBDHVacgtnryswkmbdhv", k=500)),
    "chr2": "".join(rng.choices("ACGT", k=300)),
}


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in CONTIGS.items()))
    return path


@pytest.fixture(scope="module")
def genome(fasta):
    return Genome(fasta)


def read(path, genome, **options):
    return [
        (name, sequence.decode())
        for block in read_sequences(path, 7, genome=genome, **options)
        for name, sequence in zip(block.ids, block.sequences, strict=True)
    ]


def made(tmp_path, text, name="a.bed"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def drawn(columns, n=60):
    """Random intervals of a BED with so many columns."""
    lines = []
    for i in range(n):
        name = rng.choice([*CONTIGS])
        start = rng.randrange(len(CONTIGS[name]) - 1)
        stop = rng.randrange(start + 1, len(CONTIGS[name]) + 1)
        size = stop - start
        fields = [name, start, stop, f"name{i}", i, rng.choice("+-."), start, stop, 0]
        fields += [1, size, 0] if columns == 12 else [size // 2]
        lines.append("\t".join(map(str, fields[:columns])) + "\n")
    return "".join(lines)


@pytest.mark.skipif(not shutil.which("bedtools"), reason="there is no bedtools")
@pytest.mark.parametrize("columns", [3, 4, 5, 6, 9, 10, 12])
def test_ids_and_sequences_are_those_of_bedtools(tmp_path, fasta, genome, columns):
    head = "track name=x description=y\nbrowser position chr1:1-20\n# comment\n\n"
    path = made(tmp_path, head + drawn(columns))
    command = ["bedtools", "getfasta", "-s", "-fi", fasta, "-bed", path]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    expected = [
        (name.removeprefix(">"), bases) for name, bases in zip(out[::2], out[1::2], strict=True)
    ]
    assert len(expected) == 60
    assert read(path, genome) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_ends_of_lines_compression_and_a_mark(tmp_path, fasta, end, packed):
    text = ("\ufeffchr1\t2\t6\tx\t0\t-\n\nchr2\t0\t3\tx\t0\t+".replace("\n", end)).encode()
    path = made(tmp_path, gzip.compress(text) if packed else text)
    minus = CONTIGS["chr1"][2:6].translate(COMPLEMENT)[::-1]
    expected = [("chr1:2-6(-)", minus), ("chr2:0-3(+)", CONTIGS["chr2"][:3])]
    assert read(path, fasta) == expected


# Cornish-Bowden 1985, written out.
COMPLEMENT = str.maketrans("ACGTRYKMBVDHSWNacgtrykmbvdhswn", "TGCAYRMKVBHDSWNtgcayrmkvbhdswn")


def window(name, start, length, strand="+"):
    bases = CONTIGS[name]
    letters = [bases[i] if 0 <= i < len(bases) else "N" for i in range(start, start + length)]
    forward = "".join(letters)
    return forward.translate(COMPLEMENT)[::-1] if strand == "-" else forward


@pytest.mark.parametrize("length", [1, 2, 7, 20, 41])
def test_windows_about_the_centre(tmp_path, genome, length):
    """Bases are left out or added on both sides by turns, an odd one as is said."""
    for size in range(1, 30):
        for strand in "+-":
            path = made(tmp_path, f"chr1\t100\t{100 + size}\tx\t0\t{strand}\n")
            start, stop = 100, 100 + size
            while stop - start > length:  # an odd one is left out on the right
                stop -= 1
                if stop - start > length:
                    start += 1
            while stop - start < length:  # an odd one is added on the left
                start -= 1
                if stop - start < length:
                    stop += 1
            expected = (f"chr1:{start}-{stop}({strand})", window("chr1", start, length, strand))
            assert read(path, genome, length=length) == [expected]


@pytest.mark.parametrize("length", [1, 6, 7])
def test_windows_about_summits(tmp_path, genome, length):
    lines = [line.split("\t") for line in drawn(10, 200).splitlines()]
    kept = [line for line in lines if line[0] == "chr1" and 10 < int(line[1]) < int(line[2]) < 490]
    path = made(tmp_path, "".join("\t".join(line) + "\n" for line in kept))
    assert len(kept) > 50
    found = read(path, genome, length=length, summit=True)
    for fields, (name, sequence) in zip(kept, found, strict=True):
        summit = int(fields[1]) + int(fields[9])
        start = summit - length // 2
        assert name == f"chr1:{start}-{start + length}({fields[5]})"
        forward = sequence.translate(COMPLEMENT)[::-1] if fields[5] == "-" else sequence
        assert forward[length // 2] == CONTIGS["chr1"][summit]
        assert sequence == window("chr1", start, length, fields[5])


def test_intervals_off_the_contig_are_refused_or_padded(tmp_path, genome):
    path = made(tmp_path, "chr2\t298\t303\tx\t0\t-\nchr2\t400\t402\n")
    with pytest.raises(InputError, match=r"line 1: chr2:298-303 leaves the contig, .* 300 bases"):
        read(path, genome)
    expected = [("chr2:298-303(-)", window("chr2", 298, 5, "-")), ("chr2:400-402()", "NN")]
    assert read(path, genome, beyond="pad") == expected
    path = made(tmp_path, "chr2\t1\t3\n")
    with pytest.raises(InputError, match="line 1: chr2:-2-6 leaves the contig"):
        read(path, genome, length=8)
    assert read(path, genome, length=8, beyond="pad") == [("chr2:-2-6()", window("chr2", -2, 8))]


def test_other_names_of_contigs_stay_in_the_id(tmp_path, genome):
    assert read(made(tmp_path, "2\t1\t3\n"), genome) == [("2:1-3()", CONTIGS["chr2"][1:3])]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5", "2 columns are fewer than the three of BED"),
        ("chr1\tfive\t9", "start 'five' and stop '9' are not both whole numbers"),
        ("chr1\t5\t9.5", "start '5' and stop '9.5' are not both whole numbers"),
        ("chr1\t٥\t9", "are not both whole numbers"),
        ("chr1\t1_0\t20", "are not both whole numbers"),
        ("chr1\t5\t" + "9" * 5000, "are not both whole numbers"),
        ("chr1\t-5\t9", "the interval from -5 to 9 begins before the contig"),
        ("chr1\t9\t9", "the interval from 9 to 9 is empty"),
        ("chr1\t9\t5", "the interval from 9 to 5 is empty"),
        ("chr1\t9\t9999999999", "is longer than 536,870,912 bases"),
        ("chr1\t5\t9\tx\t0\tplus", "the strand (column 6) is 'plus', none of '+', '-' and '.'"),
        ("chr1\t5\t9\tx\t0\t", "the strand (column 6) is ''"),
        ("chr7\t5\t9", "has no contig 'chr7', only chr1, chr2"),
        ("\t5\t9", "has no contig ''"),
        ("chrom\tstart\tend", "are not both whole numbers"),
        (b"chr\xff\t5\t9", r"has no contig 'chr\udcff'"),
        ("id\tsequence", "2 columns are fewer"),
    ],
)
def test_lines_that_are_no_intervals(tmp_path, genome, line, message):
    line = line if isinstance(line, bytes) else line.encode()
    path = made(tmp_path, b"# a comment\nchr1\t1\t2\n" + line + b"\n")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read(path, genome, beyond="pad")
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5\t9\tx\t0\t.\t1\t1\t1\t-1", "is not called (-1)"),
        ("chr1\t5\t9\tx\t0\t.\t1\t1\t1", "is missing"),
        ("chr1\t5\t9\tx\t0\t.\t1\t1\t1\t", "is missing"),
        ("chr1\t5\t9\tx\t0\t.\t1\t1\t1\t4", "is '4', where its distance"),
        ("chr1\t5\t9\tx\t0\t.\t1\t1\t1\t1.5", "is '1.5', where its distance"),
    ],
)
def test_summits_that_are_not_there(tmp_path, genome, line, message):
    path = made(tmp_path, f"chr1\t5\t9\tx\t0\t.\t1\t1\t1\t3\n{line}\n")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read(path, genome, length=2, summit=True)
    assert str(caught.value).startswith(f"{path}, line 2: ")


@pytest.mark.parametrize("text", ["\n", "\n\n", "#c\n", "track name=x\ntrack\nbrowser\n"])
def test_a_bed_without_intervals(tmp_path, genome, text):
    with pytest.raises(InputError, match=r"a\.bed has no intervals"):
        read(made(tmp_path, text), genome)


def test_a_contig_may_be_called_track(tmp_path):
    path = made(tmp_path, ">tracks\nACGT\n", "g.fa")
    assert read(made(tmp_path, "tracks\t1\t3\n"), path) == [("tracks:1-3()", "CG")]


def test_a_fasta_needs_no_genome_but_may_have_one(tmp_path, genome):
    assert read(made(tmp_path, ">a\nAC\n"), genome) == [("a", "AC")]


def test_a_line_without_end_is_refused(tmp_path, genome):
    path = made(tmp_path, gzip.compress(b"chr1\t1\t2\n" + b"c" * 2**21))
    with pytest.raises(InputError, match="line 2: the line is longer"):
        read(path, genome)


def test_padding_is_told_as_the_sequence_is_read(tmp_path):
    fasta = tmp_path / "genome.fa"
    fasta.write_text(">chr1\nACGTACGTAC\n")
    bed = tmp_path / "a.bed"
    bed.write_text(
        "chr1\t8\t14\ta\t0\t+\nchr1\t8\t14\tb\t0\t-\nchr1\t2\t5\tc\t0\t+\nchr1\t12\t15\n"
    )
    (block,) = read_sequences(bed, 10, genome=fasta, beyond="pad")
    assert block.sequences == [b"ACNNNN", b"NNNNGT", b"GTA", b"NNN"]
    assert block.padding == [(0, 4), (4, 0), (0, 0), (0, 3)]
    (block,) = read_sequences(bed, 10, genome=fasta, beyond="pad", length=9)
    assert block.padding[2] == (1, 0)
    assert block.sequences[2] == b"NACGTACGT"
