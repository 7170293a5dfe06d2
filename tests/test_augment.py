"""EvoAug's augmentations, each against its definition written out for one sequence."""

import copy
from collections import Counter
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from conftest import random_one_hot
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from degu.augment import (
    REGISTRY,
    Augmenter,
    DinucleotideShuffle,
    RandomDeletion,
    RandomInsertion,
    RandomInversion,
    RandomMutation,
    RandomNoise,
    RandomReverseComplement,
    RandomShuffle,
    RandomTranslocation,
    used_settings,
)
from degu.errors import InputError
from degu.sequences import decode, one_hot

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
    """Any of them, with parameters that suit sequences of this length."""
    return st.one_of(
        ranges(length).map(lambda r: RandomDeletion(*r)),
        ranges(length).map(lambda r: RandomInsertion(*r)),
        ranges(2 * length).map(lambda r: RandomTranslocation(*r)),
        ranges(length).map(lambda r: RandomInversion(*r)),
        st.floats(0, 0.75).map(RandomMutation),
        st.floats(0, 2).map(RandomNoise),
        st.floats(0, 1).map(RandomReverseComplement),
        st.just(RandomShuffle()),
        st.just(DinucleotideShuffle()),
    )


cases = dna.flatmap(lambda s: st.tuples(st.just(s), augmentations(len(s[0])), seeds))


def tagged(n, length):
    """ "Sequences" whose base p reads (p + 2, 0.5, 0.5, 0.5): it tells where it went."""
    x = np.full((n, length, 4), 0.5, dtype=np.float32)
    x[..., 0] = np.arange(length) + 2
    return x


def traced(augmentation, n, length, seed):
    """Where each base of a result came from, and whether it was complemented: (n, length) each.

    The origin of a base that was drawn is -1.
    """
    x = augmentation(tagged(n, length), np.random.default_rng(seed))
    source = np.where(x.max(axis=2) >= 2, x.max(axis=2) - 2, -1).astype(int)
    new = x[source == -1]
    assert np.isin(new, (0, 1)).all()
    assert (new.sum(axis=1) == 1).all()
    complemented = x[..., 3] >= 2
    np.testing.assert_array_equal(x[(source >= 0) & ~complemented][:, 1:], 0.5)
    np.testing.assert_array_equal(x[complemented][:, :3], 0.5)
    return source, complemented


def origins(augmentation, n, length, seed):
    """As :func:`traced`, of an augmentation that complements nothing."""
    source, complemented = traced(augmentation, n, length, seed)
    assert not complemented.any()
    return source


def other_strand(string):
    """The reverse complement, by letters."""
    return string[::-1].translate(str.maketrans("ACGT", "TGCA"))


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
    # Of 50 equal sequences hardly any two stay equal, but a shift takes one of 41 values, an
    # inversion of 0 bases is one place like another, and there are two strands.
    distinct = len(np.unique(batches[0], axis=0))
    least = {"translocation": 20, "inversion": 40, "reverse_complement": 2}
    assert distinct >= least.get(name, 46)


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 3), (2, 0, 4), (1, 2, 5, 4)])
def test_what_is_no_batch_of_sequences(name, shape):
    with pytest.raises(InputError, match=r"shape \(B, L, 4\)"):
        REGISTRY[name]()(np.zeros(shape), np.random.default_rng(0))


@pytest.mark.parametrize("augmentation", [*REGISTRY.values(), DinucleotideShuffle])
def test_a_batch_may_be_empty(augmentation):
    result = augmentation()(np.zeros((0, 30, 4)), np.random.default_rng(0))
    assert result.shape == (0, 30, 4)
    assert result.dtype == np.float32


@pytest.mark.parametrize("name", ["deletion", "insertion", "inversion"])
def test_a_stretch_longer_than_the_sequences(name):
    x = random_one_hot(2, 19)
    with pytest.raises(
        InputError,
        match=rf"^evoaug.parameters: {name} has max_length 20, but sequences have 19 bases; lower",
    ):
        REGISTRY[name]()(x, np.random.default_rng(0))
    assert REGISTRY[name](19, 19)(x, np.random.default_rng(0)).shape == x.shape


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


# Insertion --------------------------------------------------------------------------------------


def insertions(length, d):
    """Origins after each insertion of d bases, by place: (length + 1) lists."""
    return [
        [*range(place), *[-1] * d, *range(place, length)][d // 2 :][:length]
        for place in range(length + 1)
    ]


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), ranges(n))), seeds)
def test_an_insertion_shifts_what_is_beside_it_and_trims_both_ends(case, seed):
    length, (low, high) = case
    expected = [source for d in range(low, high + 1) for source in insertions(length, d)]
    for source in origins(RandomInsertion(low, high), 6, length, seed).tolist():
        assert source in expected


@given(dna, seeds, st.data())
def test_an_insertion_written_out_for_one_sequence(strings, seed, data):
    length = len(strings[0])
    augmentation = RandomInsertion(*data.draw(ranges(length)))
    result = decode(augmentation(one_hot(strings), np.random.default_rng(seed)))
    draws = origins(augmentation, len(strings), length, seed)
    for string, longer, source in zip(strings, result, draws, strict=True):
        for base, p in zip(longer, source, strict=True):
            assert base in "ACGT" if p == -1 else base == string[p]


def test_insertions_of_five_bases_by_hand():
    at = {tuple(source) for source in origins(RandomInsertion(5, 5), 2000, 12, seed=1).tolist()}
    # Two bases are lost in front and three at the back.
    start = (-1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8)
    middle = (2, 3, 4, 5, -1, -1, -1, -1, -1, 6, 7, 8)
    end = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1, -1)
    assert {start, middle, end} <= at
    assert len(at) == 13


@pytest.mark.parametrize("d", [1, 2, 5])
def test_places_of_insertions_are_uniform(d):
    length = 12
    drawn = map(tuple, origins(RandomInsertion(d, d), 6000, length, seed=1).tolist())
    assert_uniform(drawn, list(map(tuple, insertions(length, d))))


def test_lengths_of_insertions_are_uniform():
    length = 30
    sources = origins(RandomInsertion(2, 5), 8000, length, seed=1)
    # With a base of the sequence at either end, the insertion is there in full.
    full = (sources[:, 0] >= 0) & (sources[:, -1] >= 0)
    counts = Counter((sources[full] == -1).sum(axis=1))
    assert set(counts) == {2, 3, 4, 5}
    # That is so for length - d - 1 of its places.
    expected = np.array([length - d - 1 for d in range(2, 6)])
    observed = [counts[d] for d in range(2, 6)]
    assert stats.chisquare(observed, expected * full.sum() / expected.sum()).pvalue > UNLIKELY


def test_inserted_bases_are_uniform():
    inserted = [
        string.strip("N")
        for string in decode(
            RandomInsertion(3, 3)(np.zeros((4000, 9, 4)), np.random.default_rng(1))
        )
    ]
    triples = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"]
    # At the ends two or one of the three are left.
    assert {len(bases) for bases in inserted} == {1, 2, 3}
    assert_uniform([bases for bases in inserted if len(bases) == 3], triples)


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


# Inversion --------------------------------------------------------------------------------------


def inversions(length, d):
    """(origins, complemented) after each inversion of d bases."""
    found = []
    for start in range(length - d + 1):
        stretch = range(start, start + d)
        source = [*range(start), *reversed(stretch), *range(start + d, length)]
        found.append((source, [p in stretch for p in range(length)]))
    return found


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), ranges(n))), seeds)
def test_an_inversion_turns_one_stretch(case, seed):
    length, (low, high) = case
    expected = [one for d in range(low, high + 1) for one in inversions(length, d)]
    sources, complemented = traced(RandomInversion(low, high), 6, length, seed)
    for one in zip(sources.tolist(), complemented.tolist(), strict=True):
        assert one in expected


@given(dna, seeds, st.data())
def test_an_inversion_written_out_for_one_sequence(strings, seed, data):
    length = len(strings[0])
    low, high = data.draw(ranges(length))
    result = decode(RandomInversion(low, high)(one_hot(strings), np.random.default_rng(seed)))
    for string, inverted in zip(strings, result, strict=True):
        assert inverted in {
            string[:start] + other_strand(string[start : start + d]) + string[start + d :]
            for d in range(low, high + 1)
            for start in range(length - d + 1)
        }


def test_lengths_and_places_of_inversions_are_uniform():
    length = 12
    _, complemented = traced(RandomInversion(2, 5), 6000, length, seed=1)
    drawn = [(row.sum(), row.argmax()) for row in complemented]
    assert_uniform([d for d, _ in drawn], range(2, 6))
    for d in range(2, 6):
        assert_uniform([start for of, start in drawn if of == d], range(length - d + 1))


def test_an_inversion_of_everything_is_the_other_strand():
    x = one_hot(["AACGN", "GATTA"])
    assert decode(RandomInversion(5, 5)(x, np.random.default_rng(0))) == ["NCGTT", "TAATC"]
    assert decode(RandomInversion(0, 0)(x, np.random.default_rng(0))) == ["AACGN", "GATTA"]


# Reverse complement and shuffles ----------------------------------------------------------------


@given(dna, st.floats(0, 1), seeds)
def test_a_sequence_is_turned_or_left(strings, probability, seed):
    augmentation = RandomReverseComplement(probability)
    result = decode(augmentation(one_hot(strings), np.random.default_rng(seed)))
    for string, turned in zip(strings, result, strict=True):
        assert turned in {
            *([string] if probability < 1 else []),
            *([other_strand(string)] if probability > 0 else []),
        }


@pytest.mark.parametrize("probability", [0, 0.2, 0.5, 1])
def test_the_share_of_sequences_that_is_turned(probability):
    augmentation = RandomReverseComplement(probability)
    _, complemented = traced(augmentation, 4000, 3, seed=1)
    turned = complemented[:, 0]
    assert stats.binomtest(int(turned.sum()), 4000, probability).pvalue > UNLIKELY
    if 0 < probability < 1:
        # Neighbours in a batch are independent.
        together = (turned[1:] & turned[:-1])[::2]
        p = probability**2
        assert stats.binomtest(int(together.sum()), len(together), p).pvalue > UNLIKELY


@given(dna, seeds)
def test_a_shuffle_moves_whole_rows(strings, seed):
    result = decode(RandomShuffle()(one_hot(strings), np.random.default_rng(seed)))
    draws = origins(RandomShuffle(), len(strings), len(strings[0]), seed)
    for string, shuffled, source in zip(strings, result, draws, strict=True):
        assert sorted(source) == list(range(len(string)))
        assert shuffled == "".join(string[p] for p in source)


@pytest.mark.parametrize("length", [1, 2, 4, 5])
def test_every_order_of_positions_is_equally_likely(length):
    drawn = map(tuple, origins(RandomShuffle(), 8000, length, seed=1).tolist())
    assert_uniform(drawn, list(permutations(range(length))))


@pytest.mark.parametrize("length", [32, 33, 249])
def test_every_position_goes_anywhere(length):
    source = origins(RandomShuffle(), 300 * length // 30, length, seed=1)
    for place in (0, length // 2, length - 1):
        assert_uniform(source[:, place].tolist(), range(length))


@given(dna, seeds)
def test_a_dinucleotide_shuffle_keeps_dinucleotides(strings, seed):
    result = decode(DinucleotideShuffle()(one_hot(strings), np.random.default_rng(seed)))
    for string, shuffled in zip(strings, result, strict=True):
        assert Counter(pairwise(shuffled)) == Counter(pairwise(string))


def test_every_dinucleotide_shuffle_is_equally_likely():
    # The orders of ACAGAT with its dinucleotides AC, CA, AG, GA, AT, by hand.
    x = one_hot(["ACAGAT"] * 1000)
    drawn = decode(DinucleotideShuffle()(x, np.random.default_rng(1)))
    assert_uniform(drawn, ["ACAGAT", "AGACAT"])
    again = decode(DinucleotideShuffle()(x, np.random.default_rng(1)))
    assert drawn == again != decode(DinucleotideShuffle()(x, np.random.default_rng(2)))


def test_a_dinucleotide_shuffle_is_not_drawn_in_training():
    assert DinucleotideShuffle not in REGISTRY.values()
    with pytest.raises(InputError, match="one-hot"):
        DinucleotideShuffle()(np.full((2, 9, 4), 0.25), np.random.default_rng(0))


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
        ("insertion", (5, 4), "min_length 5 and max_length 4"),
        ("inversion", (0, None), "min_length 0 and max_length None"),
        ("translocation", (False, 4), "min_shift False"),
        ("translocation", (0, "4"), "min_shift 0 and max_shift '4'"),
        ("noise", (-0.1,), "std -0.1; it must be a number, 0 or more"),
        ("noise", (float("nan"),), "std nan"),
        ("noise", (float("inf"),), "std inf"),
        ("mutation", (0.8,), "fraction 0.8; it must be a number, from 0 to 0.75"),
        ("mutation", (None,), "fraction None"),
        ("mutation", (True,), "fraction True"),
        ("reverse_complement", (1.1,), "probability 1.1; it must be a number, from 0 to 1"),
        ("reverse_complement", (-0.1,), "probability -0.1"),
    ],
)
def test_parameters_that_cannot_be(name, parameters, message):
    with pytest.raises(InputError, match=f"^evoaug.parameters: {name} has {message}"):
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


def applied_to_each(augmenter, n_batches=20, size=300, seed=1):
    """The digits applied to each sequence of some batches."""
    rng = np.random.default_rng(seed)
    x = np.zeros((size, 2, 4))
    results = np.concatenate([augmenter(x, rng) for _ in range(n_batches)])
    assert results.dtype == np.float32
    assert (results == results[:, :1, :1]).all()
    return [f"{digits:.0f}" for digits in results[:, 0, 0]]


@pytest.mark.parametrize("per_batch", [1, 2, 3, 4])
def test_each_sequence_gets_a_hard_draw(per_batch):
    drawn = applied_to_each(Augmenter(DIGITS, per_batch, each_sequence=True))
    assert_uniform(drawn, ["".join(subset) for subset in combinations("1234", per_batch)])
    if per_batch < 4:
        # Neighbours in a batch are independent: they agree as often as two draws do.
        n_subsets = len(list(combinations("1234", per_batch)))
        agree = sum(one == other for one, other in zip(drawn[::2], drawn[1::2], strict=True))
        assert stats.binomtest(agree, len(drawn) // 2, 1 / n_subsets).pvalue > UNLIKELY


@pytest.mark.parametrize("per_batch", [1, 2, 4])
def test_each_sequence_gets_a_soft_draw(per_batch):
    drawn = applied_to_each(Augmenter(DIGITS, per_batch, hard=False, each_sequence=True))
    assert_uniform([len(digits) for digits in drawn], range(1, per_batch + 1))
    for n in range(1, per_batch + 1):
        subsets = ["".join(subset) for subset in combinations("1234", n)]
        assert_uniform([digits for digits in drawn if len(digits) == n], subsets)


def test_the_order_of_the_list_holds_for_each_sequence():
    drawn = applied_to_each(Augmenter(DIGITS[::-1], 3, each_sequence=True))
    assert set(drawn) == {"432", "431", "421", "321"}


@dataclass(frozen=True)
class Recorder:
    """Writes down which sequences it is given, by the number in them; adds 1000."""

    seen: list

    def __call__(self, x, rng):
        self.seen.append((x[:, 0, 0] % 1000).astype(int).tolist())
        return x + 1000


def test_an_augmentation_gets_the_sequences_that_drew_it_in_one_call():
    recorders = [Recorder([]), Recorder([]), Recorder([])]
    x = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 3, 4))
    result = Augmenter(recorders, 2, each_sequence=True)(x, np.random.default_rng(1))
    np.testing.assert_array_equal(result, x + 2000)
    seen = [rows for recorder in recorders for rows in recorder.seen]
    assert [len(recorder.seen) for recorder in recorders] == [1, 1, 1]
    assert Counter(i for rows in seen for i in rows) == Counter([*range(40), *range(40)])
    assert all(rows == sorted(set(rows)) for rows in seen)
    # One that nobody drew is not called, as it may refuse an empty batch.
    recorders = [Recorder([]), Recorder([])]
    Augmenter(recorders, 1, each_sequence=True)(x[:1], np.random.default_rng(1))
    assert sorted(len(recorder.seen) for recorder in recorders) == [0, 1]


@pytest.mark.parametrize("each_sequence", [False, True])
def test_noise_comes_last_so_that_mutations_are_noisy_and_unknown_bases_stay_unknown(each_sequence):
    x = random_one_hot(30, 50).astype(np.float32)
    x[:, 20:30] = 0
    both = Augmenter([RandomNoise(0.1), RandomMutation(0.5)], 2, each_sequence=each_sequence)
    result = both(x, np.random.default_rng(1))
    # Five standard deviations of the noise are half of what a base is.
    assert np.abs(result[:, 20:30]).max() < 0.5
    # No row is without noise, as those are that a mutation wrote after it.
    assert (result % 1 != 0).any(axis=2).all()


@pytest.mark.parametrize("wrong", [["deletion"], [RandomDeletion], None, "deletion"])
def test_what_is_no_augmentation_is_refused_at_once(wrong):
    with pytest.raises(InputError, match=r"is no augmentation; give a list .*RandomDeletion\(\)"):
        Augmenter(wrong)


def test_one_augmentation_needs_no_list():
    assert Augmenter(RandomDeletion()) == Augmenter([RandomDeletion()])


def test_sequences_of_a_batch_and_batches_without_sequences():
    each = Augmenter([RandomMutation(), RandomNoise()], each_sequence=True)
    x = random_one_hot(50, 249)
    noisy = (each(x, np.random.default_rng(1)) % 1 != 0).any(axis=(1, 2))
    assert 10 < noisy.sum() < 40
    assert each(x[:0], np.random.default_rng(1)).shape == (0, 249, 4)
    with pytest.raises(InputError, match=r"shape \(B, L, 4\)"):
        each(x[0], np.random.default_rng(1))


def test_the_order_is_that_of_the_list():
    assert set(applied(Augmenter(DIGITS[::-1], 3), 200)) == {"432", "431", "421", "321"}


@given(dna, st.integers(1, 8), st.booleans(), st.booleans(), seeds)
def test_an_augmented_batch(strings, per_batch, hard, each_sequence, seed):
    stretch = {"max_length": len(strings[0])}
    augmenter = Augmenter.from_config(
        {
            "augmentations": list(REGISTRY),
            "parameters": {"deletion": stretch, "insertion": stretch, "inversion": stretch},
            "per_batch": per_batch,
            "hard": hard,
            "each_sequence": each_sequence,
        }
    )
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


def test_parameters_by_name_stand_beside_the_list():
    section = {
        "augmentations": ["noise", {"name": "deletion", "min_length": 2}, "shuffle"],
        "parameters": {
            "deletion": {"min_length": 1, "max_length": 3},
            "noise": {"std": 0.5},
            "mutation": {"fraction": 7},
            "shuffle": {},
        },
    }
    before = copy.deepcopy(section)
    # An item's own parameters go first; those of mutation, which is not in the list, are idle.
    expected = Augmenter((RandomNoise(0.5), RandomDeletion(2, 3), RandomShuffle()))
    assert Augmenter.from_config(section) == expected
    section["each_sequence"] = True
    assert Augmenter.from_config(section).each_sequence
    del section["each_sequence"]
    assert section == before


@given(
    st.lists(st.sampled_from(list(REGISTRY)), min_size=1, max_size=8, unique=True),
    st.lists(st.sampled_from(list(REGISTRY)), unique=True),
    st.booleans(),
)
def test_used_settings_are_those_of_the_list(names, given_names, hard):
    values = {
        "deletion": {"max_length": 3},
        "insertion": {"min_length": 1},
        "translocation": {"min_shift": 2},
        "inversion": {"max_length": 5},
        "mutation": {"fraction": 0.1},
        "noise": {"std": 0.3},
        "reverse_complement": {"probability": 0.1},
        "shuffle": {},
    }
    section = {
        "augmentations": names,
        "hard": hard,
        "parameters": {name: values[name] for name in given_names},
    }
    before = copy.deepcopy(section)
    used = used_settings(section)
    assert section == before
    assert used == {
        "augmentations": names,
        "hard": hard,
        "parameters": {name: values[name] for name in given_names if name in names},
    }
    assert Augmenter.from_config(used) == Augmenter.from_config(section)


def test_idle_parameters_change_no_used_settings():
    def used(**parameters):
        items = [{"name": "noise", "std": 0.1}, "deletion"]
        return used_settings({"augmentations": items, "parameters": parameters})

    assert used(noise={"std": 1}) == used(noise={"std": 1}, mutation={"fraction": 0.2})
    assert used(deletion={"max_length": 3}) != used(deletion={"max_length": 4})
    assert used_settings({"augmentations": ["noise"]}) == {"augmentations": ["noise"]}
    with pytest.raises(InputError, match=r"^evoaug.augmentations: 'nois' names no augmentation"):
        used_settings({"augmentations": ["nois"], "parameters": {}})


def test_an_augmentation_is_added_by_one_class(monkeypatch):
    @dataclass(frozen=True)
    class Complement:
        probability: float = 0.5

        def __call__(self, x, rng):
            turned = rng.random((len(x), 1, 1)) < self.probability
            return np.where(turned, x[..., ::-1], x).astype(np.float32)

    monkeypatch.setitem(REGISTRY, "complement", Complement)
    augmenter = Augmenter.from_config([{"name": "complement", "probability": 1}])
    assert decode(augmenter(one_hot(["AACGN"]), np.random.default_rng(0))) == ["TTGCN"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "augmentations: the list is empty; name some of deletion, insertion, trans"),
        ({}, "augmentations: the list is empty"),
        (["deletions"], "augmentations: 'deletions' names no augmentation; write one of deletion"),
        ([{"max_length": 3}], "augmentations: {'max_length': 3} names no augmentation"),
        ([["noise"]], r"augmentations: \['noise'\] names no augmentation"),
        ([None], "augmentations: None names no augmentation"),
        ("noise", r"augmentations: 'noise' is no list; write \[deletion, "),
        ({"augmentations": 3}, "augmentations: 3 is no list"),
        (
            [{"name": "deletion", "max": 3}],
            "parameters: deletion has no parameter 'max'; use min_length or max_length",
        ),
        ([{"name": "noise", "mean": 0}], "parameters: noise has no parameter 'mean'; use std"),
        ([{"name": "shuffle", "k": 2}], "parameters: shuffle has no parameter 'k'; it takes none"),
        ([{"name": "mutation", "fraction": 2}], "parameters: mutation has fraction 2"),
        (
            {"augmentations": ["noise"], "parameters": {"noise": {"std": -1}}},
            "parameters: noise has std -1; it must be",
        ),
        (
            {"augmentations": ["noise"], "parameters": {"noise": {"name": "deletion"}}},
            "parameters: noise has no parameter 'name'; use std",
        ),
        (
            {"augmentations": ["noise"], "parameters": {"delet": {}}},
            "parameters: 'delet' names no augmentation; write one of deletion, ",
        ),
        (
            {"augmentations": ["noise"], "parameters": ["noise"]},
            r"parameters: \['noise'\] does not say of what; write {name: {parameter: value}}",
        ),
        (
            {"augmentations": ["noise"], "parameters": {"noise": None}},
            "parameters.noise: None names no parameters; write {parameter: value}",
        ),
        (
            {"augmentations": {"noise": {"std": 0.1}}},
            "augmentations: {'noise': {'std': 0.1}} is no list",
        ),
        ({"augmentations": ["noise"], "n": 1}, "n: there is no such key; use augmentations, per_"),
        (
            {"augmentations": ["noise"], "per_batch": 2},
            "per_batch: 2 is no whole number from 1 to 1",
        ),
        ({"augmentations": ["noise"], "per_batch": 0}, "per_batch: 0 is no"),
        ({"augmentations": ["noise"], "per_batch": True}, "per_batch: True is no"),
        ({"augmentations": ["noise"], "hard": "yes"}, "hard: 'yes' is neither true nor false"),
        ({"augmentations": ["noise"], "each_sequence": 1}, "each_sequence: 1 is neither true nor"),
    ],
)
def test_configs_that_cannot_be(config, message):
    with pytest.raises(InputError, match=rf"^evoaug\.{message}"):
        Augmenter.from_config(config)
