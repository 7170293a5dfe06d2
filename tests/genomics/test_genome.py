"""degu.genomics.genome: any stretch of a genome, by an index that is right."""

import gzip
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from degu.errors import InputError
from degu.genomics import genome as module
from degu.genomics.genome import Genome

rng = random.Random(0)
CONTIGS = {
    "chr1": "".join(rng.choices("ACGTacgtN", k=1000)),
    "chrX": "".join(rng.choices("ACGT", k=61)),
    "chrM": "ACGTR",
    "HLA*01:02": "".join(rng.choices("ACGT", k=120)),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/degu/genomes"


def made(path, contigs=CONTIGS, width=60, end="\n", last=True):
    lines = []
    for name, bases in contigs.items():
        lines += [
            f">{name} a description",
            *(bases[i : i + width] for i in range(0, len(bases), width)),
        ]
    path.write_bytes((end.join(lines) + end * last).encode())
    return path


def bgzipped(path):
    if not shutil.which("bgzip"):
        pytest.skip("there is no bgzip")
    subprocess.run(["bgzip", "-f", path], check=True)
    return Path(f"{path}.gz")


def brute(bases, start, stop):
    return "".join(bases[i] if 0 <= i < len(bases) else "N" for i in range(start, stop)).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("packed", [False, True])
def test_any_stretch_and_n_beyond_the_ends(tmp_path, end, last, packed):
    path = made(tmp_path / "g.fa", end=end, last=last)
    with Genome(bgzipped(path) if packed else path) as genome:
        assert genome.lengths == {name: len(bases) for name, bases in CONTIGS.items()}
        assert list(genome.lengths) == list(CONTIGS)
        for name, bases in CONTIGS.items():
            for _ in range(100):
                start = rng.randrange(-20, len(bases) + 20)
                stop = start + rng.randrange(200)
                assert genome.fetch(name, start, stop) == brute(bases, start, stop)


def test_names_differ_by_chr_and_by_m_alone(tmp_path):
    genome = Genome(made(tmp_path / "g.fa"))
    for name, own in [("1", "chr1"), ("Chr1", "chr1"), ("X", "chrX"), ("MT", "chrM")]:
        assert genome.contig(name) == own
        assert genome.fetch(name, 1, 4) == CONTIGS[own][1:4].encode()
    assert genome.contig("M") == genome.contig("chrMT") == genome.contig("chrM") == "chrM"
    other = Genome(made(tmp_path / "h.fa", {"1": "ACGT", "MT": "GGTT"}))
    assert [other.contig(name) for name in ("chr1", "chrM", "M", "1")] == ["1", "MT", "MT", "1"]
    for name in ("chr2", "x", "chrchr1", "", "1 ", "chr01", "HLA*01"):
        with pytest.raises(InputError, match=r"g\.fa has no contig .*, only chr1, chrX, chrM, HLA"):
            genome.contig(name)
    both = Genome(made(tmp_path / "b.fa", {"chr1": "AC", "Chr1": "GT"}))
    assert both.fetch("Chr1", 0, 2) == b"GT"
    with pytest.raises(InputError, match="no contig '1', but chr1 and Chr1"):
        both.contig("1")


@pytest.mark.parametrize("packed", [False, True])
def test_the_index_is_made_once_and_as_samtools_makes_it(tmp_path, packed, monkeypatch):
    path = made(tmp_path / "g.fa")
    path = bgzipped(path) if packed else path
    Genome(path)
    made_files = {file.name: file.read_bytes() for file in tmp_path.glob("g.fa*.?[azi]i")}
    assert len(made_files) == 1 + packed
    monkeypatch.setattr(module, "_make_index", lambda *_: pytest.fail("made again"))
    Genome(path)
    if shutil.which("samtools"):
        for name in made_files:
            (tmp_path / name).unlink()
        subprocess.run(["samtools", "faidx", path], check=True)
        assert made_files == {name: (tmp_path / name).read_bytes() for name in made_files}
        Genome(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("older", [False, True])
def test_an_index_of_another_file_is_made_anew(tmp_path, packed, older):
    """Older than the file, or not: as where a file with an old date is moved over it."""
    changed = {
        "of another length": {**CONTIGS, "chrX": "ACGT"},
        "of another name": {"chr1" if name == "chrX" else name.replace("1", "2"): bases
                            for name, bases in CONTIGS.items()},
        "with one more": {**CONTIGS, "chrY": "ACGT"},
        "with one less": dict(list(CONTIGS.items())[:-1]),
        "longer": {**CONTIGS, "HLA*01:02": CONTIGS["HLA*01:02"] + "A"},
        "shorter": {**CONTIGS, "HLA*01:02": CONTIGS["HLA*01:02"][:-1]},
    }  # fmt: skip
    for contigs in changed.values():
        path = made(tmp_path / "g.fa")
        path = bgzipped(path) if packed else path
        Genome(path)
        path = made(tmp_path / "g.fa", contigs)
        path = bgzipped(path) if packed else path
        seconds = 2e9 if older else 1e9
        os.utime(path, (seconds, seconds))
        genome = Genome(path)
        assert genome.lengths == {name: len(bases) for name, bases in contigs.items()}
        for name, bases in contigs.items():
            assert genome.fetch(name, 0, len(bases)) == bases.encode()


def test_another_width_of_lines_is_noticed(tmp_path):
    path = made(tmp_path / "g.fa", width=60)
    Genome(path)
    made(path, width=50)
    os.utime(path, (1e9, 1e9))
    assert Genome(path).fetch("chr1", 0, 1000) == CONTIGS["chr1"].encode()


def test_a_folder_that_cannot_be_written(tmp_path, cache, monkeypatch):
    path = made(tmp_path / "g.fa")

    def refuse(file, true=module.atomic_path):
        if Path(file).parent == tmp_path:
            raise PermissionError("read-only")
        return true(file)

    monkeypatch.setattr(module, "atomic_path", refuse)
    assert Genome(path).fetch("1", 0, 9) == CONTIGS["chr1"][:9].encode()
    assert not Path(f"{path}.fai").exists()
    assert len(list(cache.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(module, "_make_index", lambda *_: pytest.fail("made again"))
        Genome(path)
    # Another content is another entry.
    contigs = {"chr1": "ACGT"}
    made(path, contigs)
    assert Genome(path).lengths == {"chr1": 4}
    assert len(list(cache.iterdir())) == 2
    # And where nothing can be written, a sentence says so.
    monkeypatch.setattr(module, "atomic_path", lambda file: refuse(tmp_path / "x"))
    made(path, {"chr1": "ACGTT"})
    with pytest.raises(InputError, match="let XDG_CACHE_HOME name a folder"):
        Genome(path)
    assert not list(tmp_path.glob(".writing-*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; name the genome's FASTA"),
        (b"chr1\t0\t5\n", "is not a FASTA"),
        (b">a\nAC\nGTT\nA\n", "cannot be indexed"),
        (gzip.compress(b">a\nACGT\n"), "has no random access; compress it by bgzip"),
        (b"BZh9", "is compressed by bzip2"),
    ],
)
def test_what_is_no_genome(tmp_path, capfd, content, message):
    path = tmp_path / "g.fa.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        Genome(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["g.fa.gz"]
    assert capfd.readouterr() == ("", "")


def test_missing_genomes_and_folders(tmp_path):
    with pytest.raises(InputError, match=r"none\.fa cannot be read \(No such file"):
        Genome(tmp_path / "none.fa")
    with pytest.raises(InputError, match="is a directory"):
        Genome(tmp_path)


def test_a_name_that_looks_like_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "-o.fa")
    assert Genome("-o.fa").fetch("1", 0, 9) == CONTIGS["chr1"][:9].encode()


@pytest.mark.parametrize(
    "content", [b">a\nACGT\xff\xffGT\n", b">a\nACG\0T\nACGTA\n", b">a\nAC T\nACGT\n"]
)
def test_letters_that_are_no_text_are_refused_where_they_are_read(tmp_path, capfd, content):
    path = tmp_path / "g.fa"
    path.write_bytes(content)
    genome = Genome(path)
    assert genome.fetch("a", 0, 2) == b"AC"
    with pytest.raises(InputError, match=r"g\.fa cannot be read at a:1-"):
        genome.fetch("a", 1, genome.lengths["a"])
    assert capfd.readouterr() == ("", "")


def test_a_genome_that_is_cut_after_it_was_opened(tmp_path, capfd):
    path = made(tmp_path / "g.fa", {"a": "ACGT" * 200_000})
    genome = Genome(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="cannot be read at a:700000-700009; it is damaged or was"):
        genome.fetch("a", 700_000, 700_009)
    assert capfd.readouterr() == ("", "")
