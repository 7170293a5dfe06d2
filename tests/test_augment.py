"""EvoAug's augmentations, each against its definition written out for one sequence."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from conftest import random_one_hot
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from degu.augment import (
    REGISTRY,
    Augmenter,
    RandomDeletion,
    RandomMutation,
    RandomNoise,
    RandomTranslocation,
)
from degu.errors import InputError
from degu.sequences import decode, one_hot, reverse_complement

seeds = st.integers(0, 2**32 - 1)
dna = st.integers(1, 40).flatmap(
    lambda length: st.lists(
        st.text("ACGTN", min_size=length, max_size=length), min_size=1, max_size=6
    )
)
# A p-value below this would be bad luck once in ten thousand; seeds are fixed.
UNLIKELY = 1e-4


def ranges(most):
    """Two whole numbers 0 <= low <= high <= most."""
    return st.tuples(st.integers(0, most), st.integers(0, most)).map(sorted)


def augmentations(length):
    """Any of the four, with parameters that suit sequences of this length."""
    return st.one_of(
        ranges(length).map(lambda r: RandomDeletion(*r)),
        ranges(2 * length).map(lambda r: RandomTranslocation(*r)),
        st.floats(0, 2).map(RandomNoise),
        st.floats(0, 0.75).map(RandomMutation),
    )


cases = dna.flatmap(lambda s: st.tuples(st.just(s), augmentations(len(s[0])), seeds))


def tagged(n, length):
    """ "Sequences" whose base p reads (p + 2, 0.5, 0.5, 0.5): it tells where it went."""
    x = np.full((n, length, 4), 0.5, dtype=np.float32)
    x[..., 0] = np.arange(length) + 2
    return x


def origins(augmentation, n, length, seed):
    """Where each base of a result came from: (n, length), -1 for a base that was drawn."""
    x = augmentation(tagged(n, length), np.random.default_rng(seed))
    source = np.where(x[..., 0] >= 2, x[..., 0] - 2, -1).astype(int)
    new = x[source == -1]
    assert np.isin(new, (0, 1)).all()
    assert (new.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(x[source >= 0][:, 1:], 0.5)
    return source


def assert_uniform(values, outcomes):
    counts = Counter(values)
    assert set(counts) <= set(outcomes)
    if len(outcomes) > 1:
        assert stats.chisquare([counts[outcome] for outcome in outcomes]).pvalue > UNLIKELY


# What all have in common ------------------------------------------------------------------------


@given(cases)
def test_shape_type_and_one_hotness(case):
    strings, augmentation, seed = case
    x = one_hot(strings)
    result = augmentation(x, np.random.default_rng(seed))
    assert result.shape == x.shape
    assert result.dtype == np.float32
    if not isinstance(augmentation, RandomNoise):
        assert np.isin(result, (0, 1)).all()
        assert (result.sum(axis=2) <= 1).all()
        if not any("N" in string for string in strings):
            assert (result.sum(axis=2) == 1).all()


@given(cases)
def test_the_seed_decides_and_the_input_stays(case):
    strings, augmentation, seed = case
    x = one_hot(strings)
    x.flags.writeable = False
    result = augmentation(x, np.random.default_rng(seed))
    wide = np.asfortranarray(x, dtype=np.float32)
    wide.flags.writeable = False
    again = augmentation(wide, np.random.default_rng(seed))
    np.testing.assert_array_equal(result, again)
    contiguous = x.astype(np.float32)
    before = contiguous.copy()
    again = augmentation(contiguous, np.random.default_rng(seed))
    np.testing.assert_array_equal(result, again)
    again += 1
    np.testing.assert_array_equal(contiguous, before)


@pytest.mark.parametrize("name", REGISTRY)
def test_seeds_calls_and_sequences_differ(name):
    augmentation = REGISTRY[name]()
    x = np.repeat(random_one_hot(1, 249), 50, axis=0)
    rng = np.random.default_rng(1)
    batches = [
        augmentation(x, rng),
        augmentation(x, rng),
        augmentation(x, np.random.default_rng(2)),
    ]
    for one, other in combinations(batches, 2):
        assert (one != other).any()
    # Of 50 equal sequences hardly any two stay equal, but a shift takes one of 41 values.
    distinct = len(np.unique(batches[0], axis=0))
    assert distinct > (20 if name == "translocation" else 45)


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 3), (2, 0, 4), (1, 2, 5, 4)])
def test_what_is_no_batch_of_sequences(name, shape):
    with pytest.raises(InputError, match=r"shape \(B, L, 4\)"):
        REGISTRY[name]()(np.zeros(shape), np.random.default_rng(0))


@pytest.mark.parametrize("name", REGISTRY)
def test_a_batch_may_be_empty(name):
    assert REGISTRY[name]()(np.zeros((0, 30, 4)), np.random.default_rng(0)).shape == (0, 30, 4)


# Deletion ---------------------------------------------------------------------------------------


def deletion(source):
    """(place, length) of a deletion, read off where bases came from."""
    kept = source[source >= 0]
    length = len(source)
    missing = sorted(set(range(length)) - set(kept))
    d = len(missing)
    assert not missing or missing == list(range(missing[0], missing[0] + d))
    # floor(d / 2) new bases, those left of the deletion, those right of it, new bases.
    expected = (
        [-1] * (d // 2) + [p for p in range(length) if p not in missing] + [-1] * (d - d // 2)
    )
    assert source.tolist() == expected
    return (missing[0] if missing else None), d


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), ranges(n))), seeds)
def test_a_deletion_joins_what_is_left_and_fills_both_ends(case, seed):
    length, (low, high) = case
    for source in origins(RandomDeletion(low, high), 6, length, seed):
        _, d = deletion(source)
        assert low <= d <= high


@given(dna, seeds, st.data())
def test_a_deletion_written_out_for_one_sequence(strings, seed, data):
    length = len(strings[0])
    augmentation = RandomDeletion(*data.draw(ranges(length)))
    result = decode(augmentation(one_hot(strings), np.random.default_rng(seed)))
    draws = origins(augmentation, len(strings), length, seed)
    for string, deleted, source in zip(strings, result, draws, strict=True):
        start, d = deletion(source)
        joined = string if d == 0 else string[:start] + string[start + d :]
        head, tail = deleted[: d // 2], deleted[length - (d - d // 2) :]
        assert deleted == head + joined + tail
        assert "N" not in head + tail


def test_lengths_and_places_of_deletions_are_uniform():
    length = 12
    drawn = [deletion(s) for s in origins(RandomDeletion(2, 5), 6000, length, seed=1)]
    assert_uniform([d for _, d in drawn], range(2, 6))
    for d in range(2, 6):
        assert_uniform([p for p, of in drawn if of == d], range(length - d + 1))


def test_bases_that_fill_are_uniform():
    x = np.zeros((3000, 8, 4))
    filled = decode(RandomDeletion(3, 3)(x, np.random.default_rng(1)))
    assert all(s[1:6] == "NNNNN" for s in filled)
    assert_uniform(
        [s[0] + s[6] + s[7] for s in filled],
        [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"],
    )


def test_a_deletion_longer_than_the_sequences():
    with pytest.raises(
        InputError, match=r"deletion has max_length 20, but sequences have 19 bases"
    ):
        RandomDeletion()(random_one_hot(2, 19), np.random.default_rng(0))


# Translocation ----------------------------------------------------------------------------------


@given(dna, seeds, st.data())
def test_a_translocation_written_out_for_one_sequence(strings, seed, data):
    length = len(strings[0])
    low, high = data.draw(ranges(2 * length))
    augmentation = RandomTranslocation(low, high)
    result = decode(augmentation(one_hot(strings), np.random.default_rng(seed)))
    draws = origins(augmentation, len(strings), length, seed)
    allowed = {sign * shift % length for shift in range(low, high + 1) for sign in (-1, 1)}
    for string, rolled, source in zip(strings, result, draws, strict=True):
        shift = -source[0] % length
        assert shift in allowed
        cut = length - shift
        assert rolled == string[cut:] + string[:cut]


def test_shifts_are_uniform_and_go_either_way():
    first = origins(RandomTranslocation(1, 4), 4000, 20, seed=1)[:, 0]
    assert_uniform(first, [16, 17, 18, 19, 1, 2, 3, 4])
    # No shift is one of three sizes, not one of five shifts.
    first = origins(RandomTranslocation(0, 2), 4000, 20, seed=1)[:, 0]
    assert_uniform(np.minimum(first, 20 - first), [0, 1, 2])


# Noise ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("std", [0.2, 1.5])
def test_noise_is_gaussian_everywhere_and_independent(std):
    x = random_one_hot(60, 100)
    x[:, ::3] = 0
    noise = RandomNoise(std)(x, np.random.default_rng(1)) - x
    for part in (noise[:, ::3], noise[:, 1::3], noise[..., 0], noise[..., 3]):
        assert stats.kstest(part.ravel(), "norm", (0, std)).pvalue > UNLIKELY
    # Five standard errors of a correlation, and four of a standard deviation.
    assert noise.std() == pytest.approx(std, rel=4 / (2 * noise.size) ** 0.5)
    assert abs(np.corrcoef(noise.reshape(60, -1))[np.triu_indices(60, 1)]).max() < 5 / 400**0.5
    assert abs(np.corrcoef(noise.reshape(-1, 4).T)[np.triu_indices(4, 1)]).max() < 5 / 6000**0.5


def test_no_noise():
    x = random_one_hot(3, 20)
    np.testing.assert_array_equal(RandomNoise(0)(x, np.random.default_rng(1)), x)


# Mutation ---------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.floats(0, 0.75), seeds)
def test_every_sequence_has_the_same_number_of_drawn_positions(length, fraction, seed):
    drawn = (origins(RandomMutation(fraction), 6, length, seed) == -1).sum(axis=1)
    assert len(set(drawn)) == 1
    # Three quarters of them change, which is the fraction but for rounding.
    assert abs(0.75 * drawn[0] / length - fraction) <= 0.75 * 0.5 / length + 1e-9


def test_the_number_of_drawn_positions_of_the_published_setting():
    source = origins(RandomMutation(), 20, 249, seed=1)
    np.testing.assert_array_equal((source == -1).sum(axis=1), 17)


@given(dna, st.floats(0, 0.75), seeds)
def test_what_is_not_drawn_stays_and_unknown_bases_stay_unknown(strings, fraction, seed):
    augmentation = RandomMutation(fraction)
    result = decode(augmentation(one_hot(strings), np.random.default_rng(seed)))
    draws = origins(augmentation, len(strings), len(strings[0]), seed)
    for string, mutated, source in zip(strings, result, draws, strict=True):
        for p, (old, new) in enumerate(zip(string, mutated, strict=True)):
            assert source[p] in (p, -1)
            assert (old == "N") == (new == "N")
            assert old == new or source[p] == -1


@pytest.mark.parametrize(("fraction", "drawn"), [(0.05, 17), (0.3, 100), (0.75, 249)])
def test_the_fraction_that_changes(fraction, drawn):
    x = random_one_hot(200, 249)
    mutated = RandomMutation(fraction)(x, np.random.default_rng(1))
    changed = (mutated != x).any(axis=2)
    assert changed.sum(axis=1).max() <= drawn
    # A drawn base is silent once in four, independently of all others.
    assert stats.binomtest(int(changed.sum()), 200 * drawn, 0.75).pvalue > UNLIKELY
    assert changed.mean() == pytest.approx(fraction, rel=0.05)


def test_places_and_bases_of_mutations_are_uniform():
    sources = origins(RandomMutation(0.3), 6000, 5, seed=1)
    pairs = [tuple(np.flatnonzero(source == -1)) for source in sources]
    assert_uniform(pairs, list(combinations(range(5), 2)))
    mutated = RandomMutation(0.75)(one_hot(["AA"] * 4000), np.random.default_rng(1))
    assert_uniform(decode(mutated), [a + b for a in "ACGT" for b in "ACGT"])


# Parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("deletion", (5, 4), "min_length 5 and max_length 4"),
        ("deletion", (-1, 4), "min_length -1"),
        ("deletion", (0, 4.0), "min_length 0 and max_length 4.0; they must be whole numbers"),
        ("translocation", (False, 4), "min_shift False"),
        ("translocation", (0, "4"), "min_shift 0 and max_shift '4'"),
        ("noise", (-0.1,), "std -0.1; it must be a number, 0 or more"),
        ("noise", (float("nan"),), "std nan"),
        ("noise", (float("inf"),), "std inf"),
        ("mutation", (0.8,), "fraction 0.8; it must be a number, from 0 to 0.75"),
        ("mutation", (None,), "fraction None"),
        ("mutation", (True,), "fraction True"),
    ],
)
def test_parameters_that_cannot_be(name, parameters, message):
    with pytest.raises(InputError, match=f"^evoaug.augmentations: {name} has {message}"):
        REGISTRY[name](*parameters)


# Augmenter --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digit:
    """Appends its digit to every number: a result spells what was applied, in which order."""

    digit: int

    def __call__(self, x, rng):
        return x * 10 + self.digit


DIGITS = tuple(map(Digit, range(1, 5)))


def applied(augmenter, n_batches, seed=1):
    """The digits applied to each of many batches."""
    rng = np.random.default_rng(seed)
    x = np.zeros((3, 2, 4), dtype=np.int64)
    results = [augmenter(x, rng) for _ in range(n_batches)]
    assert all((result == result[0, 0, 0]).all() for result in results)
    return [str(result[0, 0, 0]) for result in results]


@pytest.mark.parametrize("per_batch", [1, 2, 3, 4])
def test_hard_draws_exactly_per_batch_and_every_subset_equally_often(per_batch):
    drawn = applied(Augmenter(DIGITS, per_batch), 3000)
    # Subsets in the order of the list: augmentations are distinct and their order is fixed.
    assert_uniform(drawn, ["".join(subset) for subset in combinations("1234", per_batch)])


@pytest.mark.parametrize("per_batch", [1, 2, 4])
def test_soft_draws_up_to_per_batch(per_batch):
    drawn = applied(Augmenter(DIGITS, per_batch, hard=False), 4000)
    assert_uniform([len(digits) for digits in drawn], range(1, per_batch + 1))
    for n in range(1, per_batch + 1):
        subsets = ["".join(subset) for subset in combinations("1234", n)]
        assert_uniform([digits for digits in drawn if len(digits) == n], subsets)


def test_the_order_is_that_of_the_list():
    assert set(applied(Augmenter(DIGITS[::-1], 3), 200)) == {"432", "431", "421", "321"}


@given(dna, st.integers(1, 4), st.booleans(), seeds)
def test_an_augmented_batch(strings, per_batch, hard, seed):
    settings = [{"name": "deletion", "max_length": len(strings[0])}, *list(REGISTRY)[1:]]
    augmenter = Augmenter.from_config(settings, per_batch, hard)
    x = one_hot(strings)
    before = x.copy()
    result = augmenter(x, np.random.default_rng(seed))
    assert result.shape == x.shape
    assert result.dtype == np.float32
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(augmenter(x, np.random.default_rng(seed)), result)
    np.testing.assert_array_equal(
        augmenter(x.astype(np.float32), np.random.default_rng(seed)), result
    )


def test_the_published_augmentations_are_the_defaults():
    expected = Augmenter(
        (
            RandomDeletion(min_length=0, max_length=20),
            RandomTranslocation(min_shift=0, max_shift=20),
            RandomNoise(std=0.2),
            RandomMutation(fraction=0.05),
        ),
        per_batch=1,
        hard=True,
    )
    names = ["deletion", "translocation", "noise", "mutation"]
    assert Augmenter.from_config(names) == expected
    assert Augmenter.from_config({"augmentations": names}) == expected


def test_parameters_come_from_the_config():
    items = [{"name": "noise", "std": 0.5}, "mutation", {"name": "deletion", "max_length": 3}]
    expected = Augmenter((RandomNoise(0.5), RandomMutation(), RandomDeletion(0, 3)), 2, False)
    assert Augmenter.from_config(items, per_batch=2, hard=False) == expected
    section = {"augmentations": items, "per_batch": 2, "hard": False}
    assert Augmenter.from_config(section) == expected
    assert items[0] == {"name": "noise", "std": 0.5}


def test_an_augmentation_is_added_by_one_class(monkeypatch):
    @dataclass(frozen=True)
    class RandomReverseComplement:
        probability: float = 0.5

        def __call__(self, x, rng):
            turned = rng.random((len(x), 1, 1)) < self.probability
            return np.where(turned, reverse_complement(x), x).astype(np.float32)

    monkeypatch.setitem(REGISTRY, "reverse_complement", RandomReverseComplement)
    augmenter = Augmenter.from_config([{"name": "reverse_complement", "probability": 1}])
    assert decode(augmenter(one_hot(["AACGN"]), np.random.default_rng(0))) == ["NCGTT"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "augmentations: the list is empty; name some of deletion, translocation, noise"),
        ({}, "augmentations: the list is empty"),
        (["deletions"], "augmentations: 'deletions' names no augmentation; write one of deletion"),
        ([{"max_length": 3}], "augmentations: {'max_length': 3} names no augmentation"),
        ([["noise"]], r"augmentations: \['noise'\] names no augmentation"),
        ([None], "augmentations: None names no augmentation"),
        ("noise", r"augmentations: 'noise' is no list; write \[deletion, "),
        ({"augmentations": 3}, "augmentations: 3 is no list"),
        (
            [{"name": "deletion", "max": 3}],
            "augmentations: deletion has no parameter 'max'; use min_length or max_length",
        ),
        ([{"name": "noise", "mean": 0}], "augmentations: noise has no parameter 'mean'; use std"),
        ([{"name": "mutation", "fraction": 2}], "augmentations: mutation has fraction 2"),
        ({"augmentations": ["noise"], "n": 1}, "n: there is no such key; use augmentations, per_"),
        (
            {"augmentations": ["noise"], "per_batch": 2},
            "per_batch: 2 is no whole number from 1 to 1",
        ),
        ({"augmentations": ["noise"], "per_batch": 0}, "per_batch: 0 is no"),
        ({"augmentations": ["noise"], "per_batch": True}, "per_batch: True is no"),
        ({"augmentations": ["noise"], "hard": "yes"}, "hard: 'yes' is neither true nor false"),
    ],
)
def test_configs_that_cannot_be(config, message):
    with pytest.raises(InputError, match=rf"^evoaug\.{message}"):
        Augmenter.from_config(config)
