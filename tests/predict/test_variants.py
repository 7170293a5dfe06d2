"""Effects of variants against brute force, formulas written out, and bcftools."""

import math
import os
import re
import shutil
import subprocess
from statistics import NormalDist

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st

from degu.errors import InputError
from degu.genomics.genome import Genome
from degu.genomics.vcf import Variant, read_variants
from degu.predict.predictor import Predictor
from degu.predict.variants import Settings, Sites, Tally, predict_variants, survey
from degu.sequences import letter_codes


class Contigs:
    """A genome in memory, its names as they are."""

    path = "genome.fa"

    def __init__(self, **contigs):
        self.contigs = contigs
        self.lengths = {name: len(text) for name, text in contigs.items()}

    def contig(self, name):
        if name not in self.contigs:
            raise InputError("unknown")
        return name

    def fetch(self, name, start, stop):
        text, beyond = self.contigs[name], 3 * abs(start) + 3 * abs(stop)
        return ("N" * beyond + text + "N" * beyond)[beyond + start : beyond + stop].encode()


def record(pos, ref, alt, chrom="c", info="."):
    fields = [chrom, str(pos), ".", ref, alt, ".", ".", info]
    return Variant(f"record {pos}", [field.encode() for field in fields], pos)


def of(genome, variant, length, **chosen):
    """Statuses and pairs of windows, as text."""
    statuses, cut = Sites(genome).pairs(variant, length, Settings(**chosen))
    return statuses, [[tuple(w.decode() for w in pair) for pair in pairs] for pairs in cut]


bases = st.text("ACGTacgt", min_size=1, max_size=6)


@st.composite
def cases(draw):
    contig = draw(st.text("ACGTacgtN", min_size=1, max_size=60))
    start = draw(st.integers(0, len(contig) - 1))
    ref = contig[start : start + draw(st.integers(1, 6))]
    if draw(st.booleans()):
        ref = ref.swapcase()
    alts = draw(st.lists(bases, min_size=1, max_size=3))
    shifts = tuple(draw(st.lists(st.integers(-8, 8), min_size=1, max_size=3, unique=True)))
    return contig, start, ref, alts, draw(st.integers(1, 25)), shifts


@settings(max_examples=400)
@given(cases())
def test_windows_are_those_of_the_genome_with_the_variant_in_it(case):
    contig, start, ref, alts, length, shifts = case
    given = record(start + 1, ref, ",".join(alts))
    statuses, cut = of(Contigs(c=contig), given, length, shifts=shifts, beyond="pad", max_n=1)
    pad, left = "N" * 100, iter(cut)
    for alt, status in zip(alts, statuses, strict=True):
        mutated = contig[:start] + alt + contig[start + len(ref) :]
        firsts = [start - math.floor(length / 2) + shift for shift in shifts]
        fits = all(
            first <= start and start + max(len(ref), len(alt)) <= first + length for first in firsts
        )
        assert status == ("ok" if fits else "does_not_fit")
        if fits:
            assert next(left) == [
                tuple(
                    (pad + text + pad)[100 + first : 100 + first + length].upper()
                    for text in (contig, mutated)
                )
                for first in firsts
            ]
    assert next(left, None) is None


@settings(max_examples=200)
@given(cases(), st.sampled_from([0.0, 0.1, 0.3]))
def test_ends_and_unknown_bases(case, max_n):
    contig, start, ref, alts, length, shifts = case
    genome, given = Contigs(c=contig), record(start + 1, ref, ",".join(alts))
    fitting, _ = of(genome, given, length, shifts=shifts, beyond="pad", max_n=1)
    missing, _ = of(genome, given, length, shifts=shifts, max_n=max_n)
    padded, _ = of(genome, given, length, shifts=shifts, max_n=max_n, beyond="pad")
    for alt, fits, strict, lax in zip(alts, fitting, missing, padded, strict=True):
        mutated = contig[:start] + alt + contig[start + len(ref) :]
        off, shares = False, []
        for shift in shifts:
            first = start - length // 2 + shift
            for text in (contig, mutated):
                own = text[max(first, 0) : first + length].upper()
                off |= len(own) < length
                shares.append(own.count("N") / len(own) if own else 0)
        many = "too_many_n" if max(shares) > max_n else "ok"
        assert lax == (many if fits == "ok" else fits)
        assert strict == ("off_contig" if off and fits == "ok" else lax)


@pytest.mark.parametrize(("ref", "alt"), [("C", "T"), ("CAG", "C"), ("C", "CTTA"), ("CAG", "GT")])
def test_bcftools_makes_the_same_alternative(tmp_path, ref, alt):
    """``bcftools consensus`` applies the record to the whole contig."""
    for name in ("bcftools", "bgzip", "samtools"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
    rng = np.random.default_rng(1)
    before, after = ("".join(rng.choice(list("ACGT"), n)) for n in (70, 60))
    (tmp_path / "genome.fa").write_text(f">chr1\n{before}{ref}{after}\n")
    (tmp_path / "one.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t71\t.\t{ref}\t{alt}\t.\t.\t.\n"
    )

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    run("bgzip", "one.vcf")
    run("bcftools", "index", "one.vcf.gz")
    text = run("bcftools", "consensus", "-f", "genome.fa", "one.vcf.gz")
    (tmp_path / "mutated.fa").write_text(text)
    windows = [
        "".join(run("samtools", "faidx", f"{name}.fa", "chr1:46-95").split()[1:])
        for name in ("genome", "mutated")
    ]
    (variant,) = read_variants(tmp_path / "one.vcf.gz")
    genome = Genome(tmp_path / "genome.fa")
    assert of(genome, variant, 50) == (["ok"], [[tuple(windows)]])


GENOME = Contigs(c="ACGTRNacgt" * 4, other="ACGT" * 10)


@pytest.mark.parametrize(
    ("given", "statuses"),
    [
        (record(11, "A", "G,<DEL>,*,.,A[c:1[,R"), "ok symbolic spanning_deletion missing_allele"
         " breakend letters"),
        (record(11, "a", "g"), "ok"),
        (record(17, "A", "G"), "ok"),
        (record(11, "C", "G,<DEL>"), "reference_differs symbolic"),
        (record(11, "AG", "G"), "reference_differs"),
        (record(11, "Y", "G"), "letters"),
        # R of the genome is A or G, of which VCF writes the first.
        (record(15, "A", "G"), "ok"),
        (record(15, "G", "A"), "ok"),
        (record(15, "C", "A"), "reference_differs"),
        (record(16, "N", "A"), "ok"),
        (record(16, "A", "C"), "reference_differs"),
        (record(11, "N", "A"), "reference_differs"),
        # Callers of structural variants write N for what they do not look up.
        (record(11, "N", "<DEL>"), "symbolic"),
        (record(11, "A", "G", chrom="d"), "unknown_contig"),
        (record(11, "A", "<DEL>,G", chrom="d"), "symbolic unknown_contig"),
        (record(11, "A", "G", chrom="other"), "contig_length_differs"),
        (record(40, "TA", "G"), "reference_differs"),
        (record(41, "A", "G"), "reference_differs"),
        (record(999, "A", "G"), "reference_differs"),
        (record(0, "N", "G"), "off_contig"),
        (record(1, "A", "G"), "off_contig"),
        (record(37, "A", "G"), "off_contig"),
        (record(11, "ACGTR", "A"), "letters"),
        (record(11, "A", "GACGTACGTAC,GACGT"), "does_not_fit ok"),
    ],
)  # fmt: skip
def test_why_there_is_no_value(given, statuses):
    sites = Sites(GENOME, {"other": 50, "c": 40})
    assert sites.pairs(given, 10, Settings(max_n=1))[0] == statuses.split()


class Linear:
    """Models that are linear in a sequence: their predictions can be written out."""

    flanks = (b"", b"")
    role = "teacher"

    def __init__(self, models, length, targets=("a", "b"), stds=False, role="student"):
        rng = np.random.default_rng(models)
        self.targets, self.length, self.has_stds = targets, length, stds
        self.has_std = stds or (role == "teacher" and models > 1)
        self.role = role
        self.weights = rng.normal(size=(2, models, len(targets), length, 5))
        self.asked = []

    def predict(self, which, model, target, window):
        """A number for one sequence (bytes)."""
        own = self.weights[which, model, target]
        total = sum(own[i, "ACGTN".index(chr(base))] for i, base in enumerate(window))
        return abs(total) if which else total

    def members(self, codes, *, both_strands=False):
        assert not both_strands
        self.asked.append(codes)
        shape = (self.weights.shape[1], len(codes), len(self.targets))
        values = np.empty((2, *shape))
        for i in np.ndindex(2, *shape):
            window = bytes(b"ACGTN"[code] for code in codes[i[2]])
            values[i] = self.predict(i[0], i[1], i[3], window)
        return values[0], values[1] if self.has_stds else None


VARIANTS = [
    record(15, "G", "A,T,GACC"),
    record(15, "G", "<DEL>"),
    record(15, "GATT", "G,*"),
    record(9, "C", "T"),
    record(9, "G", "T"),
]
CONTIG = "ACCGATTACAGGTTGATTACCGGGATCCA"
CONTIG = CONTIG[:8] + "C" + CONTIG[9:14] + "GATT" + CONTIG[18:]


def brute(predictor, chosen):
    """Rows of (ref, alt, effect, std) of each target, for the alternatives that have values."""
    rows, length = [], predictor.length
    for variant in VARIANTS:
        for alt in variant.alts:
            if not alt.isalpha() or (variant.ref, variant.pos) == (b"G", 9):
                rows.append(None)
                continue
            p, ref = variant.pos - 1, variant.ref.decode()
            mutated = CONTIG[:p] + alt.decode() + CONTIG[p + len(ref) :]
            row = []
            for t in range(len(predictor.targets)):
                refs, alts, stds = [], [], []
                for m in range(predictor.weights.shape[1]):
                    means = {}
                    for which in (0, 1):
                        for name, text in (("ref", CONTIG), ("alt", mutated)):
                            of_shifts = [
                                predictor.predict(
                                    which,
                                    m,
                                    t,
                                    text[
                                        p - length // 2 + s : p - length // 2 + s + length
                                    ].encode(),
                                )
                                for s in chosen.shifts
                            ]
                            means[which, name] = sum(of_shifts) / len(of_shifts)
                    refs.append(means[0, "ref"])
                    alts.append(means[0, "alt"])
                    a, b = means[1, "ref"], means[1, "alt"]
                    stds.append(math.sqrt(a * a + b * b - 2 * chosen.rho * a * b))
                effects = [b - a for a, b in zip(refs, alts, strict=True)]
                mean = sum(effects) / len(effects)
                std = math.sqrt(sum((e - mean) ** 2 for e in effects) / len(effects))
                if predictor.has_stds:
                    std = math.sqrt(sum(s * s for s in stds) / len(stds))
                row.append((sum(refs) / len(refs), sum(alts) / len(alts), mean, std))
            rows.append(row)
    return rows  # fmt: skip


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("shifts", [(0,), (0, -2, 3)])
@pytest.mark.parametrize(
    ("models", "role", "rho"),
    [(3, "teacher", 0), (1, "teacher", 0), (1, "student", 0), (3, "student", 0.7),
     (2, "student", -1), (1, "student", 1)],
)  # fmt: skip
def test_effects_are_as_written_out(models, role, rho, shifts, rows):
    predictor = Linear(models, 12, stds=role == "student", role=role)
    chosen = Settings(shifts=shifts, rho=rho, level=0.8)
    blocks = list(predict_variants(predictor, VARIANTS, Sites(Contigs(c=CONTIG)), chosen, rows))
    assert [v for block, _ in blocks for v in block] == VARIANTS
    assert len(blocks) == (5 if rows == 1 else 1)
    wanted = brute(predictor, chosen)
    statuses = [status for _, effects in blocks for status in effects.status]
    assert statuses == (
        ["ok"] * 3 + ["symbolic", "ok", "spanning_deletion", "ok", "reference_differs"]
    )

    def got(name):
        parts = [getattr(effects, name) for _, effects in blocks]
        return None if parts[0] is None else np.concatenate(parts)

    has = [row is not None for row in wanted]
    numbers = np.array([row for row in wanted if row is not None])
    for i, name in enumerate(("ref", "alt", "effect")):
        np.testing.assert_allclose(got(name)[has], numbers[:, :, i], atol=1e-12)
        assert np.isnan(got(name)[~np.array(has)]).all()
    if (models, role) == (1, "teacher"):
        assert got("std") is got("lower") is got("upper") is got("excludes_0") is None
        return
    effect, std = numbers[:, :, 2], numbers[:, :, 3]
    z = NormalDist().inv_cdf(0.9)
    # A root of the square of 1e-16 is 1e-8.
    np.testing.assert_allclose(got("std")[has], std, atol=1e-7)
    np.testing.assert_allclose(got("lower")[has], effect - z * std, atol=1e-6)
    np.testing.assert_allclose(got("upper")[has], effect + z * std, atol=1e-6)
    np.testing.assert_array_equal(got("excludes_0")[has], abs(effect) > z * std)
    assert np.isnan(got("excludes_0")[~np.array(has)]).all()


def test_each_window_of_a_block_is_predicted_once():
    predictor = Linear(1, 12)
    sites = Sites(Contigs(c=CONTIG))
    list(predict_variants(predictor, VARIANTS * 2, sites, Settings()))
    (codes,) = predictor.asked
    # Two references, and four alternatives and one.
    assert len(codes) == len(np.unique(codes, axis=0)) == 2 + 4 + 1


def test_nothing_is_predicted_where_there_is_no_window():
    predictor = Linear(2, 12, role="teacher")
    ((_, effects),) = predict_variants(
        predictor, [record(15, "G", "<DEL>")], Sites(Contigs(c=CONTIG)), Settings()
    )
    assert predictor.asked == []
    assert effects.std.shape == effects.effect.shape == (1, 2)
    assert np.isnan(effects.upper).all()
    assert list(predict_variants(predictor, [], Sites(Contigs(c=CONTIG)), Settings())) == []


@pytest.mark.parametrize("both", [False, True])
def test_flanks_and_strands_are_those_of_the_predictor(tmp_path, both, monkeypatch):
    """Windows are of the insert; the package's own estimate of them is the expected one."""
    paths = [tiny_models.student(tmp_path / f"{i}_x.h5", length=20) for i in (1, 2)]
    predictor = Predictor.open(paths)
    predictor.flanks = (b"ACGGT", b"TTA")
    given = record(15, "G", "A")
    ((_, effects),) = predict_variants(
        predictor, [given], Sites(Contigs(c=CONTIG)), Settings(both_strands=both)
    )
    windows = [CONTIG[8:20], CONTIG[8:14] + "A" + CONTIG[15:20]]
    codes = letter_codes([f"ACGGT{window}TTA".encode() for window in windows])
    wanted = predictor.estimate(codes, both_strands=both)
    np.testing.assert_allclose([effects.ref[0], effects.alt[0]], wanted.mean, rtol=1e-6)
    np.testing.assert_allclose(effects.effect[0], wanted.mean[1] - wanted.mean[0], atol=1e-6)
    _, stds = predictor.members(codes, both_strands=both)
    np.testing.assert_allclose(effects.std[0], np.sqrt((stds**2).sum(axis=1).mean(axis=0)))


def test_long_windows_make_small_blocks(monkeypatch):
    monkeypatch.setattr("degu.predict.variants._BLOCK_BASES", 12 * 2 * 2)
    predictor, sites = Linear(1, 12), Sites(Contigs(c=CONTIG))
    blocks = list(predict_variants(predictor, VARIANTS, sites, Settings(shifts=(0,))))
    assert [len(block) for block, _ in blocks] == [1, 2, 2]


def test_an_odd_letter_of_the_genome_is_named():
    sites = Sites(Contigs(c=CONTIG[:10] + "*" + CONTIG[11:]))
    with pytest.raises(InputError, match=r"genome\.fa has '\*'"):
        list(predict_variants(Linear(1, 12), [record(15, "G", "A")], sites, Settings(max_n=1)))


HEADER = "##fileformat=VCFv4.2\n{}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def written(path, variants, extra=""):
    lines = [b"\t".join(variant.fields).decode() + "\n" for variant in variants]
    path.write_text(HEADER.format(extra) + "".join(lines))
    return path


def test_a_survey_counts(tmp_path):
    genome = Contigs(a="ACGT" * 5, b="ACGT" * 5)
    right = [record(i, "ACGT"[i % 4 - 1], "N", chrom) for chrom in "ba" for i in (3, 7, 7)]
    path = written(tmp_path / "v.vcf", [*right, record(9, "A", "<DEL>,.", "zz")])
    found = survey(path, Sites(genome))
    assert (found.records, found.alternatives, found.reach) == (7, 8, 10)
    assert list(found.contigs.items()) == [("b", 20), ("a", 20), ("zz", None)]
    assert found.sorted
    again = survey(written(path, [*right, record(9, "A", "N", "b")]), Sites(genome))
    assert not again.sorted
    assert not survey(written(path, [*right[2::-1], right[0]]), Sites(genome)).sorted
    assert survey(written(path, []), Sites(genome)).records == 0


@pytest.mark.parametrize(("wrong", "refused"), [(0, False), (2, False), (3, True), (10, True)])
def test_more_than_a_fifth_of_wrong_references_is_another_assembly(tmp_path, wrong, refused):
    """Of ten records that can be compared; others do not count."""
    sites = Sites(Contigs(c="ACGT" * 5))
    variants = [record(1, "G" if i < wrong else "A", "T,C") for i in range(10)]
    others = [record(1, "N", "<DEL>"), record(2, "A", "T", "z"), record(1, "R", "T")]
    path = written(tmp_path / "v.vcf", others * 20 + variants)
    if not refused:
        assert survey(path, sites).records == 70
        return
    says = f"{wrong} of 10 records (the first: line 63, c:1 G, where the genome has A): another"
    with pytest.raises(InputError, match=re.escape(says)):
        survey(path, sites)


def test_a_contig_of_another_length_is_another_assembly(tmp_path):
    sites = Sites(Contigs(c="ACGT" * 5))
    path = written(tmp_path / "v.vcf", [record(1, "A", "T")], "##contig=<ID=c,length=1021>\n")
    with pytest.raises(InputError, match="c of 1,021 bases, where the genome has 20"):
        survey(path, sites)
    written(path, [record(1, "A", "T")], "##contig=<ID=c,assembly=x,length=20>\n")
    assert survey(path, sites).records == 1


def test_only_unknown_contigs_are_refused(tmp_path):
    path = written(tmp_path / "v.vcf", [record(1, "A", "T", f"z{i}") for i in range(9)])
    with pytest.raises(InputError, match=r"lacks \(z0, z1, z2, z3, z4, \.\.\.; the genome has c\)"):
        survey(path, Sites(Contigs(c="ACGT")))


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="read twice"):
        survey(tmp_path / "pipe", Sites(Contigs(c="ACGT")))


def test_a_tally_names_the_first_of_each():
    tally = Tally()
    variants = [record(1, "A", "T,*"), record(2, "A", "*")]
    tally.add(variants, ["ok", "spanning_deletion", "spanning_deletion"])
    (line,) = tally.lines()
    assert line.startswith("2 of 3 alternatives have no values, spanning_deletion: ")
    assert line.endswith("(the first: record 1, c:1)")
