"""Sequences of any length, as models take them: against loops over letters."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degu.errors import InputError
from degu.genomics.blocks import Block
from degu.predict.fit import Fit, Misfits, fitted

NONE = (b"", b"")


def block(*sequences):
    return Block([f"s{i}" for i in range(len(sequences))], [s.encode() for s in sequences])


def text(codes):
    return ["".join("ACGTN"[c] for c in row) for row in codes]


def fit(sequences, length, flanks=NONE, **how):
    found = fitted(block(*sequences), length, flanks, Fit(**how), "x.fa")
    return text(found.codes), found.owners.tolist(), found.missing.tolist()


def padded(sequence, size):
    more = size - len(sequence)
    return "N" * (more // 2) + sequence + "N" * (more - more // 2)


def by_loops(sequences, length, flanks, how, stride, max_n):
    """What the module does, letter by letter."""
    left, right = (flank.decode() for flank in flanks)
    inner = length - len(left) - len(right)
    out, owners, missing = [], [], []
    for i, sequence in enumerate(sequences):
        sequence = "".join(c if c in "ACGT" else "N" for c in sequence.upper())
        if len(sequence) == length or len(sequence) <= inner:
            pieces = [sequence]
        elif how == "centre":
            start = (len(sequence) - inner) // 2
            pieces = [sequence[start : start + inner]]
            sequence = pieces[0]
        else:
            starts = list(range(0, len(sequence) - inner, stride or max(1, inner // 2)))
            pieces = [sequence[s : s + inner] for s in (*starts, len(sequence) - inner)]
        missing.append(sequence.count("N") / len(sequence) > max_n)
        if not missing[-1]:
            for piece in pieces:
                whole = piece if len(piece) == length else left + padded(piece, inner) + right
                out.append(whole)
                owners.append(i)
    return out, owners, missing


@given(
    sequences=st.lists(st.text("ACGTNacgtnRY", min_size=1, max_size=25), max_size=8),
    length=st.integers(4, 12),
    flanks=st.sampled_from([NONE, (b"AC", b"G"), (b"", b"TT"), (b"A", b"")]),
    how=st.sampled_from(["centre", "tile"]),
    stride=st.sampled_from([None, 1, 2, 3, 50]),
    max_n=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
@settings(max_examples=400)
def test_it_is_what_loops_give(sequences, length, flanks, how, stride, max_n):
    expected = by_loops(sequences, length, flanks, how, stride, max_n)
    assert fit(sequences, length, flanks, how=how, stride=stride, max_n=max_n) == expected


def test_the_odd_base_is_on_the_right():
    assert fit(["ACGT"], 7, how="pad", max_n=0)[0] == ["NACGTNN"]
    assert fit(["AACGTTT"], 4, how="centre")[0] == ["ACGT"]


def test_the_last_tile_ends_where_the_sequence_does():
    tiles, owners, _ = fit(["ACGTACGTA", "ACGT", "CC"], 4, how="tile")
    assert tiles == ["ACGT", "GTAC", "ACGT", "CGTA", "ACGT", "NCCN"]
    assert owners == [0, 0, 0, 0, 1, 2]
    assert fit(["ACGTACGT"], 4, how="tile", stride=4)[0] == ["ACGT", "ACGT"]


def test_flanks_are_added_to_what_lacks_them_alone():
    flanks = (b"AAA", b"CC")
    assert fit(["TTTT", "GGGGGGGGG"], 9, flanks)[0] == ["AAATTTTCC", "GGGGGGGGG"]
    assert fit(["T"], 9, flanks, how="pad")[0] == ["AAANTNNCC"]


def test_others_than_these_lengths_are_counted():
    with pytest.raises(Misfits) as caught:
        fit(["A" * 9, "A" * 4, "AC", "A" * 10, "A"], 9, (b"AAA", b"CC"))
    assert str(caught.value) == (
        "x.fa: 3 of 5 sequences have other lengths than 9 or, without flanks, 4 (the first: s2, 2 "
        "bases); use --fit pad, centre or tile."
    )
    with pytest.raises(Misfits, match=r"1 of 1 sequences has another length than 3 \(s0, 2 bases"):
        fit(["AC"], 3)
    with pytest.raises(
        Misfits, match=r"1 of 2 .* is longer than 2 \(s1.*; use --fit centre or tile"
    ):
        fit(["AC", "ACGT"], 2, how="pad")


def test_padding_is_no_unknown_base_and_the_share_is_as_it_is_written():
    assert fit(["ACGTACGTAN"], 40, how="pad", max_n=0.1)[2] == [False]
    assert fit(["ACGTACGTAN"], 40, how="pad", max_n=0.09)[2] == [True]
    for n in range(1, 100):
        sequence = "N" * n + "A" * (100 - n)
        assert fit([sequence], 100, max_n=float(f"0.{n:02d}"))[2] == [False]
        assert fit([sequence], 100, max_n=math.nextafter(n / 100, 0) - 1e-6)[2] == [True]


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.text("ACGTN", min_size=0, max_size=12), st.integers(0, 9)),
        min_size=1,
    ),
    st.sampled_from(["centre", "tile"]),
)
def test_bases_beyond_a_contig_do_not_count(parts, how):
    parts = [part for part in parts if sum((part[0], len(part[1]), part[2]))] or [(0, "A", 0)]
    sequences = [b"N" * left + own.encode() + b"N" * right for left, own, right in parts]
    padding = [(left, right) for left, _, right in parts]
    block = Block([str(i) for i in range(len(parts))], sequences, padding)
    found = fitted(block, 8, (b"", b""), Fit(how, max_n=0.25), "file")
    for (left, own, right), missing in zip(parts, found.missing, strict=True):
        marked = "-" * left + own + "-" * right
        if how == "centre" and len(marked) > 8:
            start = (len(marked) - 8) // 2
            marked = marked[start : start + 8]
        bases = marked.replace("-", "")
        assert missing == (not bases or bases.count("N") / len(bases) > 0.25)


def test_what_is_cut_off_does_not_count():
    assert fit(["NNNACGTNNN"], 4, how="centre", max_n=0)[2] == [False]
    assert fit(["NNNACGTNNN"], 4, how="tile", max_n=0.5)[2] == [True]


@pytest.mark.parametrize("sequences", [["ACGT", "ACUT"], ["ACGT", "AC-T", "U"], ["A" * 9, "GG*A"]])
def test_a_letter_that_is_no_base_is_named(sequences):
    letter = next(c for c in "".join(sequences) if c not in "ACGT")
    with pytest.raises(InputError) as caught:
        fit(sequences, 4, how="tile")
    assert str(caught.value) == (
        f"x.fa: sequence s1 has {letter!r} at position 3, which is no base; write A, C, G, T or, "
        "of an unknown one, N."
    )


def test_no_sequences():
    found = fitted(block(), 5, NONE, Fit(), "x.fa")
    assert found.codes.shape == (0, 5)
    assert np.array_equal(found.missing, [])
