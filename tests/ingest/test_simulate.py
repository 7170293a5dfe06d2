"""The simulated assay does what its description says."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

from degu.dataset import read_info, read_split
from degu.errors import InputError
from degu.ingest import ingest, preflight
from degu.ingest.simulate import MOTIFS, noise_std, simulate
from degu.sequences import decode
from degu.sweep import derive_seed

DATA = {
    "source": "simulate",
    "n_train": 300,
    "n_val": 40,
    "n_test": 50,
    "length": 249,
    "replicates": 3,
    "decoys": 0.25,
    "noise": 0.35,
    "rarity": 1,
}
CODES = {base: base for base in "ACGT"} | {"R": "AG", "Y": "CT", "W": "AT", "K": "GT", "N": "ACGT"}
WEAK, SYNERGY, BASAL, RANGE, HALF = 0.75, 0.5, -1.5, 8.0, 4.0


def other_strand(string):
    return string[::-1].translate(str.maketrans("ACGT", "TGCA"))


def words(motif):
    """Every word of a motif on either strand -> the affinities that it could have."""
    found: dict[str, set[float]] = {}
    for letters in product(*(CODES[symbol] for symbol in motif.consensus)):
        word = "".join(letters)
        wrong = sum(a != b for a, b in zip(word, motif.strongest, strict=True))
        for strand in (word, other_strand(word)):
            found.setdefault(strand, set()).add(motif.strength * WEAK**wrong)
    return found


WORDS = {t: [words(m) for m in MOTIFS if m.target == t] for t in ("Dev", "Hk")}


@pytest.fixture(scope="module")
def planted():
    """Sequences without decoys."""
    return simulate(1500, decoys=0, seed=11)


@pytest.fixture(scope="module")
def default():
    return simulate(4000, seed=11)


@pytest.mark.parametrize("motif", MOTIFS, ids=lambda m: m.name)
def test_the_affinity_of_a_word_does_not_depend_on_the_strand_it_is_read_from(motif):
    affinities = words(motif)
    assert affinities[motif.strongest] == {motif.strength}
    assert all(len(values) == 1 for values in affinities.values())


def parse(run, families):
    """Every way to read a masked run as motifs side by side: lists of (affinity, width)."""
    if not run:
        return [[]]
    return [
        [(affinity, len(word)), *rest]
        for family in families
        for word, (affinity,) in ((w, tuple(a)) for w, a in family.items())
        if run.startswith(word)
        for rest in parse(run[len(word) :], families)
    ]


@pytest.mark.parametrize("target", ["Dev", "Hk"])
def test_the_mask_covers_motifs_and_the_activity_is_their_formula(planted, target):
    column = ["Dev", "Hk"].index(target)
    numbers = Counter()
    for string, mask, activity in zip(
        decode(planted.x[:400]),
        planted.motif_mask[:400, :, column],
        planted.activity[:400, column],
        strict=True,
    ):
        instances, ambiguous = [], False
        for run in re.finditer("1+", "".join(map(str, mask))):
            readings = parse(string[slice(*run.span())], WORDS[target])
            assert readings
            ambiguous |= len(readings) > 1
            start = run.start()
            for affinity, width in readings[0]:
                instances.append((affinity, start + width / 2))
                start += width
        if ambiguous:
            continue
        numbers[len(instances)] += 1
        occupancy = sum(a for a, _ in instances) + SYNERGY * sum(
            a * b for (a, i), (b, j) in combinations(instances, 2) if 10 <= abs(i - j) <= 40
        )
        assert activity == pytest.approx(BASAL + RANGE * occupancy / (occupancy + HALF))
    assert set(numbers) == set(range(7))
    assert sum(numbers.values()) > 300


def test_motifs_do_not_overlap_and_cover_both_halves_and_strands(planted):
    assert planted.motif_mask.sum(axis=2).max() == 1
    assert (planted.motif_mask.any(axis=(1, 2))).all()
    coverage = planted.motif_mask.sum(axis=2).mean(axis=0)
    # Fewer motifs reach the outermost bases; elsewhere no place is preferred.
    assert coverage.min() > 0.01
    inner = coverage[12:-12].reshape(9, 25).mean(axis=1)
    np.testing.assert_allclose(inner, inner.mean(), rtol=0.1)
    strings = " ".join(decode(planted.x))
    forward, reverse = (len(re.findall(w, strings)) for w in ("GAGAGAG", "CTCTCTC"))
    assert forward == pytest.approx(reverse, rel=0.15)


def families_of_lone_words(simulation, target):
    """How often each family makes up a run of the mask by itself, strongest family first."""
    found = Counter()
    for string, mask in zip(
        decode(simulation.x),
        simulation.motif_mask[:, :, ["Dev", "Hk"].index(target)],
        strict=True,
    ):
        for run in re.finditer("1+", "".join(map(str, mask))):
            word = string[slice(*run.span())]
            # Two motifs side by side are longer than any word.
            found.update(i for i, family in enumerate(WORDS[target]) if word in family)
    return [found[i] for i in range(4)]


@pytest.mark.parametrize("rarity", [1, 2, 4])
def test_families_are_as_rare_as_asked_for(rarity):
    simulation = simulate(3000, decoys=0, rarity=rarity, seed=5)
    for target in ("Dev", "Hk"):
        strengths = [m.strength for m in MOTIFS if m.target == target]
        assert strengths == sorted(strengths, reverse=True)
        counts = families_of_lone_words(simulation, target)
        shares = np.array([1, rarity, rarity**2, rarity**3]) / (1 + rarity + rarity**2 + rarity**3)
        n = sum(counts)
        assert n > 4000
        # Half a per cent for runs of two motifs, which longer ones are in more often.
        within = 4 * np.sqrt(n * shares * (1 - shares)) + 0.005 * n
        np.testing.assert_array_less(np.abs(counts - n * shares), within)


def test_rare_families_change_nothing_else():
    """Numbers of motifs are drawn before, backgrounds and noise from the same seeds."""
    even, rare = (simulate(300, rarity=rarity, decoys=0, noise=0, seed=9) for rarity in (1, 4))
    np.testing.assert_array_equal(
        even.motif_mask.any(axis=1), rare.motif_mask.any(axis=1)
    )  # whether a sequence has a motif for the target at all
    free = ~(even.motif_mask.any(axis=2) | rare.motif_mask.any(axis=2))
    np.testing.assert_array_equal(even.x[free], rare.x[free])
    # The strongest are the rarest, so activities are lower.
    assert (rare.activity.mean(axis=0) < even.activity.mean(axis=0)).all()


def test_the_background_has_the_dinucleotides_of_drosophila(planted):
    # Bergman et al. 2002, table 3, 4 : 1 of non-coding and coding.
    published = {
        ("AA", "TT"): (0.110, 0.057),
        ("AC", "GT"): (0.052, 0.054),
        ("AG", "CT"): (0.052, 0.063),
        ("AT", "AT"): (0.086, 0.057),
        ("CA", "TG"): (0.068, 0.075),
        ("CC", "GG"): (0.043, 0.067),
        ("CG", "CG"): (0.037, 0.064),
        ("GA", "TC"): (0.053, 0.067),
        ("GC", "GC"): (0.052, 0.081),
        ("TA", "TA"): (0.069, 0.032),
    }
    background = ~planted.motif_mask.any(axis=2)
    counts = Counter()
    for string, free in zip(decode(planted.x), background, strict=True):
        both = free[:-1] & free[1:]
        counts.update(string[i : i + 2] for i in np.flatnonzero(both))
    total = sum(counts.values())
    for pair, (non_coding, coding) in published.items():
        for word in pair:
            assert counts[word] / total == pytest.approx(0.8 * non_coding + 0.2 * coding, abs=0.003)


def test_decoys_are_shuffles_that_have_lost_their_motifs(default):
    without = simulate(4000, decoys=0, seed=11)
    assert default.decoy.sum() == 1000
    assert not without.decoy.any()
    np.testing.assert_array_equal(default.x[~default.decoy], without.x[~default.decoy])
    assert not default.motif_mask[default.decoy].any()
    assert (default.activity[default.decoy] == BASAL).all()
    sources, shuffles = decode(without.x[default.decoy]), decode(default.x[default.decoy])
    assert not set(sources) & set(shuffles)
    for source, shuffle in zip(sources, shuffles, strict=True):
        assert Counter(pairwise(source)) == Counter(pairwise(shuffle))
    assert simulate(7, decoys=1, seed=1).decoy.all()


def test_the_noise_has_the_std_that_is_documented():
    many = simulate(60, replicates=4000, seed=2)
    gc = np.array([(s.count("G") + s.count("C")) / 249 for s in decode(many.x)])
    expected = 0.35 * (1.5 - (many.activity + 1.5) / 8) * (0.25 + 2 * gc)[:, None]
    np.testing.assert_allclose(many.noise_std, expected)
    np.testing.assert_allclose(noise_std(many.x, many.activity, 0.7), 2 * expected)
    # 4,000 draws: the standard error of a std is 1.1%, of a mean 1.6% of the std.
    np.testing.assert_allclose(many.replicates.std(axis=0, ddof=1), expected, rtol=0.06)
    error = (many.replicates.mean(axis=0) - many.activity) / expected
    assert np.abs(error).max() < 5 / np.sqrt(4000)
    residual = (many.replicates - many.activity) / expected
    assert abs(np.mean(residual[..., 0] * residual[..., 1])) < 0.01
    assert abs(np.mean(residual[:-1] * residual[1:])) < 0.01


def test_plausible_units_and_difficulty(default):
    assert default.activity.min() == BASAL
    assert 4 < default.activity.max() < 6
    y = default.replicates.mean(axis=0)
    strings = decode(default.x)
    patterns = [re.compile(f"(?={'|'.join(sorted(words(motif)))})") for motif in MOTIFS]
    hits = np.array([[len(p.findall(s)) for p in patterns] for s in strings])
    pairs = np.array(
        [[s.count(a + b) for a, b in product("ACGT", repeat=2)] for s in strings], dtype=float
    )
    for target in range(2):
        for features, model, low, high in [
            (hits, HistGradientBoostingRegressor(max_iter=50), 0.9, 1),
            (pairs, Ridge(), -1, 0.4),
        ]:
            model.fit(features[:3000], y[:3000, target])
            pearson = np.corrcoef(model.predict(features[3000:]), y[3000:, target])[0, 1]
            assert low < pearson < high


def test_short_sequences_are_at_most_half_motif():
    for length in (22, 60):
        short = simulate(500, length=length, decoys=0, seed=3)
        covered = short.motif_mask.sum(axis=(1, 2))
        assert covered.max() <= length // 2
        assert (covered > 0).mean() > 0.5
        assert ((short.activity > BASAL).any(axis=1) == (covered > 0)).all()


def test_the_file(tmp_path):
    path = tmp_path / "dataset.h5"
    ingest(DATA, ["Dev", "Hk"], path, 5)
    info = read_info(path)
    assert info.targets == ("Dev", "Hk")
    assert info.units == "log2 enrichment"
    assert info.sizes == {"Train": 300, "Val": 40, "Test": 50}
    assert info.length == 249
    for name, n in info.sizes.items():
        fields = ("x", "y", "y_std", "y_replicates", "id", "motif_mask")
        split = read_split(path, name, fields=fields)
        truth = simulate(n, seed=derive_seed(5, "simulate", split=name))
        np.testing.assert_array_equal(split.x, truth.x)
        np.testing.assert_allclose(split.y, truth.replicates.mean(axis=0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(split.y_std, truth.replicates.std(axis=0, ddof=1), rtol=1e-5)
        np.testing.assert_array_equal(split.y_replicates, np.full((n, 2), 3))
        assert split.id[0] == f"{name.lower()}_000001"
        assert len(set(split.id)) == n
        if name == "Test":
            np.testing.assert_array_equal(split.motif_mask, truth.motif_mask)
        else:
            assert split.motif_mask is None


def test_splits_do_not_depend_on_each_others_size(tmp_path):
    ingest(DATA, ["Dev", "Hk"], tmp_path / "a.h5", 5)
    ingest(DATA | {"n_test": 9, "n_val": 8}, ["Dev", "Hk"], tmp_path / "b.h5", 5)
    a, b = (read_split(tmp_path / f"{f}.h5", "Train") for f in "ab")
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.y, b.y)
    val, test = (read_split(tmp_path / "a.h5", name) for name in ("Val", "Test"))
    everything = decode(a.x) + decode(val.x) + decode(test.x)
    assert len(set(everything)) == 390


def test_some_of_the_targets(tmp_path):
    ingest(DATA, ["Dev", "Hk"], tmp_path / "both.h5", 5)
    both = read_split(tmp_path / "both.h5", "Test", fields=("x", "y", "motif_mask"))
    for targets, columns in [(["Hk"], [1]), (["Hk", "Dev"], [1, 0])]:
        ingest(DATA, targets, tmp_path / "some.h5", 5)
        some = read_split(tmp_path / "some.h5", "Test", fields=("x", "y", "motif_mask"))
        np.testing.assert_array_equal(some.x, both.x)
        np.testing.assert_array_equal(some.y, both.y[:, columns])
        np.testing.assert_array_equal(some.motif_mask, both.motif_mask[..., columns])


def test_a_single_replicate_has_no_std(tmp_path):
    ingest(DATA | {"replicates": 1}, ["Dev"], tmp_path / "d.h5", 5)
    split = read_split(tmp_path / "d.h5", "Train", fields=("x", "y", "y_std", "y_replicates"))
    assert split.y_std is split.y_replicates is None


def test_the_seed_and_nothing_else_decides(tmp_path):
    """Neither the seed of strings, nor threads, nor the vector instructions of the CPU."""
    code = (
        "import json, sys\n"
        "from degu.ingest.simulate import ingest\n"
        "ingest(json.loads(sys.argv[1]), ['Dev', 'Hk'], sys.argv[2], 5)\n"
    )
    other = {
        "PYTHONHASHSEED": "7",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__),
    }
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, json.dumps(DATA), str(tmp_path / "a.h5")],
        env={"PATH": os.environ["PATH"], **other},
        check=True,
    )
    np.random.seed(3)  # noqa: NPY002
    ingest(DATA, ["Dev", "Hk"], tmp_path / "b.h5", 5)
    ingest(DATA, ["Dev", "Hk"], tmp_path / "c.h5", 6)
    a, b, c = (read_info(tmp_path / f"{name}.h5").sha256 for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("targets", [[], ["leaf"], ["Dev", "root"], ["Dev", "Dev"]])
def test_other_targets_are_refused(tmp_path, targets):
    message = r"^targets: .*set targets to \[Dev, Hk\]"
    with pytest.raises(InputError, match=message):
        preflight(DATA, targets)
    with pytest.raises(InputError, match=message):
        ingest(DATA, targets, tmp_path / "d.h5", 1)
    assert list(tmp_path.iterdir()) == []


def test_too_short_sequences_are_refused():
    preflight(DATA | {"length": 22}, ["Dev"])
    with pytest.raises(InputError, match=r"^data\.length: 21 bp .* at least 22"):
        preflight(DATA | {"length": 21}, ["Dev"])
