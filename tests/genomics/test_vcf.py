"""Records of VCF and BCF as they are, and a VCF with more in its INFO, as other tools read it."""

import gzip
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degu.errors import InputError
from degu.genomics.vcf import (
    Info,
    Variant,
    bgzipped,
    declared_contigs,
    extended_header,
    extended_line,
    free_stems,
    read_header,
    read_variants,
)

HEADER = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=1000>
##FILTER=<ID=low,Description="x">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Alleles, <counted>">
##INFO=<ID=F,Number=1,Type=Float,Description="x">
##INFO=<ID=END,Number=1,Type=Integer,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="x">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	one	two
"""
RECORDS = """chr1	10	rs1;rs2	A	G,T	3.1400	PASS	AC=1,2;F=0.10	GT:DP	0/1:7	.
chr1	12	.	acg	a	.	low	.	GT	0|1	./.
chr1	12	.	A	<DEL>	1e+03	.	END=40	GT	0/1	.
"""


def tool(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name}")
    return path


def run(*command, **more):
    done = subprocess.run(list(map(str, command)), capture_output=True, check=True, **more)
    assert b"[E::" not in done.stderr
    assert b"[W::" not in done.stderr
    return done.stdout


@pytest.fixture
def vcf(tmp_path):
    path = tmp_path / "some.vcf"
    path.write_text(HEADER + RECORDS)
    return path


def fields_of(path):
    return [(v.where, v.pos, b"\t".join(v.fields)) for v in read_variants(path)]


def variant(ref="A", alt="G", info=".", pos=5, rest=()):
    fields = ["chr1", str(pos), ".", ref, alt, ".", ".", info, *rest]
    return Variant("line 1", [field.encode() for field in fields], pos)


def test_a_record_is_its_line(vcf):
    lines = RECORDS.encode().splitlines()
    assert [text for _, _, text in fields_of(vcf)] == lines
    assert [where for where, _, _ in fields_of(vcf)] == ["line 10", "line 11", "line 12"]
    assert [pos for _, pos, _ in fields_of(vcf)] == [10, 12, 12]
    assert read_header(vcf) == HEADER.splitlines()


@pytest.mark.parametrize("how", ["gzip", "bgzip", "crlf", "bom", "blank"])
def test_the_same_file_in_other_dress(vcf, tmp_path, how):
    plain, other = vcf.read_bytes(), tmp_path / "other"
    other.write_bytes(
        {
            "gzip": lambda: gzip.compress(plain),
            "bgzip": lambda: run(tool("bgzip"), "-c", vcf),
            "crlf": lambda: plain.replace(b"\n", b"\r\n"),
            "bom": lambda: b"\xef\xbb\xbf" + plain,
            "blank": lambda: plain + b"\n\n",
        }[how]()
    )
    assert fields_of(other) == fields_of(vcf)
    assert read_header(other) == read_header(vcf)


@pytest.mark.parametrize("kind", ["u", "b"])
def test_bcf_has_the_same_variants(vcf, tmp_path, kind):
    bcf = tmp_path / "some.bcf"
    run(tool("bcftools"), "view", f"-O{kind}", "-o", bcf, vcf)
    lines = run(tool("bcftools"), "view", "-H", bcf).splitlines()
    assert [text for _, _, text in fields_of(bcf)] == lines
    assert [where for where, _, _ in fields_of(bcf)] == ["record 1", "record 2", "record 3"]
    assert declared_contigs(read_header(bcf)) == {"chr1": 1000}


@pytest.mark.parametrize(
    ("ref", "alt", "info", "kinds"),
    [
        ("A", "G", ".", ["ok"]),
        ("a", "gT,N", ".", ["ok", "ok"]),
        ("ACG", "A,<DEL>,*", "END=9", ["ok", "symbolic", "spanning_deletion"]),
        ("A", "<*>", ".", ["gvcf_block"]),
        ("A", "<NON_REF>", "DP=3;END=90", ["gvcf_block"]),
        ("A", "G,<NON_REF>", ".", ["ok", "symbolic"]),
        ("A", ".", ".", ["missing_allele"]),
        ("A", ".", "END=5", ["missing_allele"]),
        ("A", ".", "MEND=50", ["missing_allele"]),
        ("A", ".", "END=50", ["gvcf_block"]),
        ("A", "G,.", ".", ["ok", "missing_allele"]),
        ("A", "A]chr2:7],]<c>:3]A,[chr1:1[T", ".", ["breakend"] * 3),
        ("A", "A.,.A", ".", ["breakend"] * 2),
        ("A", "C<ctg>", ".", ["symbolic"]),
        ("A", "R,U,G-", ".", ["letters"] * 3),
        ("R", "G,<DEL>", ".", ["letters", "symbolic"]),
        (".", "G", ".", ["letters"]),
        ("A", "", ".", ["missing_allele"]),
    ],
)
def test_what_an_alternative_is(ref, alt, info, kinds):
    assert variant(ref, alt, info).kinds() == kinds


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "some.vcf is no VCF"),
        (b">chr1\nACGT\n", "some.vcf is no VCF"),
        (b"##fileformat=VCFv4.2\n", "no line #CHROM"),
        (b"##fileformat=VCFv4.2\nchr1\t1\t.\tA\tG\t.\t.\t.\n", "no line #CHROM"),
        (HEADER.replace("\tINFO\t", "\t").encode(), "no line #CHROM"),
        ((HEADER + "chr1 5 . A G . . .\n").encode(), "line 10, has 1 columns"),
        ((HEADER + RECORDS + "chr1\t5\t.\tA\n").encode(), "line 13, has 4 columns"),
        ((HEADER + RECORDS.replace("\t10\t", "\tten\t")).encode(), "line 10, has the POS 'ten'"),
        ((HEADER + RECORDS.replace("\t10\t", "\t-1\t")).encode(), "line 10, has the POS '-1'"),
        ((HEADER + RECORDS.replace("\t10\t", f"\t{'9' * 5000}\t")).encode(), "line 10"),
        (gzip.compress((HEADER + RECORDS).encode())[:-20], "damaged or truncated gzip"),
        (b"BCF\2\2" + bytes(40), "no whole BCF file"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "some.vcf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(says)) as raised:
        list(read_variants(path))
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("raw", [False, True])
def test_a_bcf_that_is_cut_off(vcf, tmp_path, raw):
    bcf = tmp_path / "some.bcf"
    run(tool("bcftools"), "view", "-Ob", "-o", bcf, vcf)
    content = gzip.decompress(bcf.read_bytes()) if raw else bcf.read_bytes()
    bcf.write_bytes(content)
    assert len(list(read_variants(bcf))) == 3
    bcf.write_bytes(content[:-10])
    with pytest.raises(InputError, match=r"no whole BCF file \(after record 2\)|truncated"):
        list(read_variants(bcf))


@pytest.mark.parametrize(("what", "says"), [("folder", "directory"), ("nothing", "No such file")])
def test_what_is_no_file(tmp_path, what, says):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=says):
        read_header(tmp_path / what)


NOT_INFO = st.text("abcXYZ019.,:/|;=<>_é ", min_size=1, max_size=12)


@given(st.lists(NOT_INFO, min_size=7, max_size=7), st.lists(NOT_INFO, max_size=4), NOT_INFO)
def test_nothing_but_info_changes(fields, rest, info):
    """A new key comes after those there are."""
    fields[4] = "G,T"
    line = "\t".join([*fields, info, *rest]).encode()
    got = extended_line(Variant("", line.split(b"\t", 8), 1), {"K": ["1", "."], "L": ["x", "y"]})
    parts = got.decode().removesuffix("\n").split("\t")
    assert parts[:7] == fields
    assert parts[8:] == rest
    own = "" if info == "." else info.rstrip(";") + ";"
    assert parts[7] == f"{own}K=1,.;L=x,y"


def test_a_record_without_alternatives_stays():
    record = variant(alt=".", rest=["GT", "0/0"])
    assert extended_line(record, {"K": []}) == b"chr1\t5\t.\tA\t.\t.\t.\t.\tGT\t0/0\n"


def test_keys_are_legal_and_there_once():
    names = ["DEGU_leaf", "DEGU_light-leaf", "DEGU_light leaf", "DEGU_α/β", "DEGU_x_ref"]
    header = ['##INFO=<ID=DEGU_leaf_ref,Number=A,Type=Float,Description="of a run before">']
    stems = free_stems(names, ["_ref", "_effect"], header)
    assert stems == [
        "DEGU_leaf_2",
        "DEGU_light_leaf",
        "DEGU_light_leaf_2",
        "DEGU____",
        "DEGU_x_ref",
    ]
    # A key of one name may be the beginning of another's.
    assert free_stems(["a", "a_ref"], ["", "_ref"], []) == ["a", "a_ref_2"]
    for stem in stems:
        assert re.fullmatch(r"[A-Za-z_][0-9A-Za-z_.]*", stem)


def test_bcftools_reads_what_is_written(vcf, tmp_path):
    """Contigs that were not declared and quotes among it, and it says the values."""
    path = tmp_path / "out.vcf"
    records = (RECORDS + RECORDS.replace("chr1", "2")).encode()
    vcf.write_bytes(HEADER.encode() + records)
    infos = [Info("K", "Float", 'of a "target", \\ and\nmore'), Info("S", "String", "why")]
    header = extended_header(
        read_header(vcf), {"chr1": 1000, "2": 500, "z": None}, infos, {"Rho": 0.5, "Of": 'a"b'}
    )
    lines = [
        extended_line(v, {"K": ["0.5", "."][: len(v.alts)], "S": ["ok", "letters"][: len(v.alts)]})
        for v in read_variants(vcf)
    ]
    path.write_bytes(header + b"".join(lines))
    got = run(tool("bcftools"), "query", "-f", "%CHROM %POS %K %S %F\\n", path).decode()
    rows = ["{} 10 0.5,. ok,letters 0.1", "{} 12 0.5 ok .", "{} 12 0.5 ok ."]
    assert got.splitlines() == [row.format(chrom) for chrom in ("chr1", "2") for row in rows]
    view = run(tool("bcftools"), "view", "-h", path).decode()
    assert "##contig=<ID=2,length=500>" in view
    assert "##contig=<ID=z>" in view
    assert view.count("ID=chr1") == 1
    assert '##degu=<Rho="0.5",Of="a\\"b">' in view
    # Each value goes with its alternative.
    split = run(tool("bcftools"), "norm", "-m-", path).decode()
    assert [line.split("\t")[7] for line in split.splitlines() if "\t10\t" in line] == [
        "AC=1;F=0.1;K=0.5;S=ok",
        "AC=2;F=0.1;K=.;S=letters",
    ] * 2


@pytest.mark.parametrize("index", ["tbi", "csi", None])
def test_a_bgzipped_file_has_its_own_index(vcf, tmp_path, index):
    path = tmp_path / "out.vcf.gz"
    for suffix in ("tbi", "csi"):
        (tmp_path / f"out.vcf.gz.{suffix}").write_text("of another file")
    with bgzipped(path, index) as stream:
        stream.write(vcf.read_bytes())
    assert run(tool("bgzip"), "-dc", path) == vcf.read_bytes()
    made = {"out.vcf.gz", "some.vcf"} | ({f"out.vcf.gz.{index}"} if index else set())
    assert {file.name for file in tmp_path.iterdir()} == made
    if index:
        assert run(tool("tabix"), path, "chr1:11-11") == b""
        assert run(tool("tabix"), path, "chr1:10-10") == RECORDS.encode().splitlines(True)[0]


def test_a_contig_that_is_too_long_for_tbi(tmp_path):
    path = tmp_path / "out.vcf.gz"
    header = HEADER.replace("length=1000", "length=800000000").encode()
    line = b"chr1\t700000000\t.\tA\tG\t.\t.\t.\tGT\t.\t.\n"
    with bgzipped(path, "csi") as stream:
        stream.write(header + line)
    assert run(tool("tabix"), path, "chr1:699999999-700000001") == line


def test_nothing_is_left_of_a_file_that_fails(tmp_path):
    path = tmp_path / "out.vcf.gz"
    path.write_text("before")
    (tmp_path / "out.vcf.gz.tbi").write_text("of it")

    def write():
        with bgzipped(path, "tbi") as stream:
            stream.write(HEADER.encode())
            raise InputError("stop")

    with pytest.raises(InputError):
        write()
    assert path.read_text() == "before"
    assert {file.name for file in tmp_path.iterdir()} == {"out.vcf.gz", "out.vcf.gz.tbi"}


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=8)), min_size=1, max_size=4
)


@pytest.mark.parametrize("how", ["plain", "gzip", "BCF", "raw BCF"])
def test_any_bytes_are_records_or_one_sentence(tmp_path_factory, how):
    folder = tmp_path_factory.mktemp("damaged")
    content = (HEADER + RECORDS).encode()
    (folder / "whole").write_bytes(content)
    if "BCF" in how:
        run(tool("bcftools"), "view", "-Ob", "-o", folder / "whole.bcf", folder / "whole")
        content = (folder / "whole.bcf").read_bytes()
        content = gzip.decompress(content) if how == "raw BCF" else content
    elif how == "gzip":
        content = gzip.compress(content, mtime=0)
    refused = []

    @settings(max_examples=150, database=None)
    @given(EDITS)
    def check(edits):
        damaged = bytearray(content)
        for place, dropped, inserted in edits:
            at = int(place * len(damaged))
            damaged[at : at + dropped] = inserted
        (folder / "damaged").write_bytes(damaged)
        try:
            for record in read_variants(folder / "damaged"):
                assert len(record.kinds()) == len(record.alts)
                extended_line(record, {"K": ["1"]})
        except InputError as error:
            sentence = str(error)
            refused.append(sentence)
        else:
            sentence = str(folder / "damaged")
        assert "\n" not in sentence
        assert str(folder / "damaged") in sentence

    check()
    assert refused
