"""One-hot encoding, its inverse, the other strand, and dinucleotide shuffles."""

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from degu import sequences
from degu.errors import InputError
from degu.sequences import (
    BadLetter,
    decode,
    dinucleotide_shuffle,
    from_codes,
    letter_codes,
    one_hot,
    reverse_complement,
)

dna = st.integers(1, 40).flatmap(
    lambda length: st.lists(
        st.text("ACGTN", min_size=length, max_size=length), min_size=1, max_size=5
    )
)


def dinucleotides(sequence):
    return Counter(pairwise(sequence))


def test_the_order_is_acgt_and_n_is_a_zero_row():
    x = one_hot(["ACGTN", "acgtn"])
    assert x.dtype == np.uint8
    expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(x, [expected, expected])


@given(dna)
def test_decoding_inverts_encoding(strings):
    assert decode(one_hot(strings)) == strings
    assert decode(one_hot([s.lower() for s in strings]).astype(np.float32)) == strings


@given(dna)
def test_reverse_complement(strings):
    complement = str.maketrans("ACGTN", "TGCAN")
    x = one_hot(strings)
    assert decode(reverse_complement(x)) == [s[::-1].translate(complement) for s in strings]
    np.testing.assert_array_equal(reverse_complement(reverse_complement(x)), x)


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        ([], "no sequences"),
        ([""], "Sequence 1 is empty"),
        (["ACG", "ACGT"], "Sequence 2 has 4 bases but sequence 1 has 3"),
        (["ACG", "AC-"], "Sequence 2 has the character '-' at position 3"),
        (["AéG"], "Sequence 1 has the character 'é' at position 2"),
        (["AC☃"], "Sequence 1 has the character '☃' at position 3"),
        (["ACU"], "only A, C, G, T and N"),
    ],
)
def test_what_cannot_be_encoded(strings, message):
    with pytest.raises(InputError, match=message):
        one_hot(strings)


@settings(deadline=None)
@given(dna, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_shuffles_keep_dinucleotides_and_both_ends(strings, k, seed):
    shuffled = dinucleotide_shuffle(one_hot(strings), k, seed)
    assert shuffled.shape == (len(strings), k, len(strings[0]), 4)
    assert shuffled.dtype == np.uint8
    for string, versions in zip(strings, shuffled, strict=True):
        for version in decode(versions):
            assert dinucleotides(version) == dinucleotides(string)
            assert (version[0], version[-1]) == (string[0], string[-1])


@pytest.mark.parametrize(
    "sequence",
    [
        "AACAGATCA",  # a cycle
        "ACACAGAGAT",  # the last letter is reached by one edge only
        "CAATTAATTG",  # self-loops
        "ANCANNACNA",  # N is a letter
        "ACGACATNAN",  # all five, ending in N
    ],
)
def test_every_distinct_shuffle_is_equally_likely(sequence):
    inner = {"".join(p) for p in permutations(sequence[1:-1])}
    candidates = (sequence[0] + middle + sequence[-1] for middle in inner)
    possible = sorted(c for c in candidates if dinucleotides(c) == dinucleotides(sequence))
    assert len(possible) >= 6
    drawn = Counter(decode(dinucleotide_shuffle(one_hot([sequence]), 20_000, 3)[0]))
    assert set(drawn) == set(possible)
    assert stats.chisquare([drawn[s] for s in possible]).pvalue > 0.001


def random_sequences(n, length=249):
    return np.eye(4, dtype=np.uint8)[np.random.default_rng(0).integers(4, size=(n, length))]


def test_long_shuffles_are_all_different_and_keep_dinucleotides():
    x = random_sequences(20)
    shuffled = dinucleotide_shuffle(x, 10, 0).reshape(-1, 249, 4)
    strings = decode(shuffled)
    assert len(set(strings) | set(decode(x))) == 220
    for i, string in enumerate(strings):
        assert dinucleotides(string) == dinucleotides(decode(x)[i // 10])
    # A shuffle agrees with its source by chance only: at a quarter of the positions.
    agreement = (shuffled & x.repeat(10, axis=0)).sum() / (200 * 249)
    assert agreement == pytest.approx(0.25, abs=0.02)


def test_shuffles_follow_the_seed():
    x = random_sequences(3)
    first = dinucleotide_shuffle(x, 2, 7)
    np.testing.assert_array_equal(dinucleotide_shuffle(x, 2, 7), first)
    np.testing.assert_array_equal(dinucleotide_shuffle(x, 2, np.random.default_rng(7)), first)
    assert (dinucleotide_shuffle(x, 2, 8) != first).any()
    generator = np.random.default_rng(7)
    dinucleotide_shuffle(x, 2, generator)
    assert (dinucleotide_shuffle(x, 2, generator) != first).any()


def test_shuffles_do_not_touch_the_input_or_the_global_state():
    x = random_sequences(3)
    before, state = x.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    dinucleotide_shuffle(x, 2, 0)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_blocks_may_split_the_shuffles_of_a_sequence(monkeypatch):
    monkeypatch.setattr(sequences, "_SHUFFLE_BLOCK", 3 * 30)
    x = random_sequences(4, length=30)
    shuffled = dinucleotide_shuffle(x, 5, 0)
    for string, versions in zip(decode(x), shuffled, strict=True):
        assert all(dinucleotides(v) == dinucleotides(string) for v in decode(versions))


def test_no_sequences_have_no_shuffles():
    assert dinucleotide_shuffle(random_sequences(0), 3, 0).shape == (0, 3, 249, 4)


@pytest.mark.parametrize(
    ("x", "k", "message"),
    [
        (np.zeros((3, 4), dtype=np.uint8), 1, r"shape \(n, L, 4\), but got \(3, 4\)"),
        (np.zeros((3, 4, 9), dtype=np.uint8), 1, r"\(3, 4, 9\)"),
        (np.zeros((3, 0, 4), dtype=np.uint8), 1, r"\(3, 0, 4\)"),
        (np.zeros((3, 9, 4), dtype=np.uint8), 0, "k of at least 1, but got 0"),
        (np.full((3, 9, 4), 0.25), 1, "one-hot"),
        (np.ones((3, 9, 4), dtype=np.uint8), 1, "one-hot"),
    ],
)
def test_what_cannot_be_shuffled(x, k, message):
    with pytest.raises(InputError, match=message):
        dinucleotide_shuffle(x, k, 0)


@given(dna)
def test_codes_of_letters_are_those_of_one_hot(strings):
    codes = letter_codes([string.encode() for string in strings])
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(from_codes(codes), one_hot(strings))
    np.testing.assert_array_equal(codes, [["ACGTN".index(base) for base in s] for s in strings])
    np.testing.assert_array_equal(codes, letter_codes([s.lower().encode() for s in strings]))


def test_letters_for_several_bases_are_unknown():
    np.testing.assert_array_equal(
        letter_codes([b"RYSWKMBDHVN", b"ryswkmbdhvn"]), np.full((2, 11), 4)
    )


def test_codes_of_no_sequences():
    assert letter_codes([]).shape == (0, 0)
    assert letter_codes([b"", b""]).shape == (2, 0)


@pytest.mark.parametrize("byte", sorted(set(range(256)) - set(b"ACGTNRYSWKMBDHVacgtnryswkmbdhv")))
def test_any_other_byte_is_named_with_its_place(byte):
    with pytest.raises(BadLetter) as caught:
        letter_codes([b"ACGT", b"NA" + bytes([byte]) + b"C", b"UUUU"])
    assert (caught.value.row, caught.value.position) == (1, 2)
    assert caught.value.letter == (chr(byte) if byte < 128 else "\ufffd")


def test_a_character_of_several_bytes_is_named_whole():
    with pytest.raises(BadLetter, match="sequence 1 has 'é' at position 3") as caught:
        letter_codes(["ACéT".encode()])
    assert caught.value.letter == "é"


def test_sequences_of_several_lengths_have_no_codes():
    with pytest.raises(ValueError, match="different lengths"):
        letter_codes([b"AC", b"A"])
