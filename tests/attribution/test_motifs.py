"""Motifs by IUPAC consensus, against regular expressions."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.attribution.motifs import Mark, Occurrence, marks, occurrences, spans
from degu.errors import InputError
from degu.ingest.simulate import MOTIFS, simulate
from degu.sequences import IUPAC, one_hot

# Of the NC-IUB recommendations of 1984: the letter, what it stands for, its complement.
LETTERS = {
    **{"A": ("A", "T"), "C": ("C", "G"), "G": ("G", "C"), "T": ("T", "A")},
    **{"R": ("[AG]", "Y"), "Y": ("[CT]", "R"), "S": ("[CG]", "S"), "W": ("[AT]", "W")},
    **{"K": ("[GT]", "M"), "M": ("[AC]", "K"), "B": ("[CGT]", "V"), "D": ("[AGT]", "H")},
    **{"H": ("[ACT]", "D"), "V": ("[ACG]", "B"), "N": ("[ACGT]", "N")},
}


def matches(sequence, consensus):
    """Starts of overlapping matches."""
    pattern = "".join(LETTERS[letter][0] for letter in consensus)
    return {match.start() for match in re.finditer(f"(?={pattern})", sequence)}


def expected(sequences, motifs):
    found = []
    for row, sequence in enumerate(sequences):
        for start in range(len(sequence)):
            for name, consensus in motifs.items():
                other = "".join(LETTERS[letter][1] for letter in reversed(consensus))
                plus, minus = (start in matches(sequence, c) for c in (consensus, other))
                if plus or minus:
                    strand = {(1, 1): ".", (1, 0): "+", (0, 1): "-"}[plus, minus]
                    found.append((row, name, start, start + len(consensus), strand))
    return found


@given(
    st.integers(1, 12).flatmap(
        lambda length: st.lists(st.text("ACGTN", min_size=length, max_size=length), min_size=1)
    ),
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.text("".join(LETTERS), min_size=1, max_size=5)
    ),
)
def test_occurrences_are_those_of_a_regular_expression(sequences, motifs):
    assert occurrences(one_hot(sequences), motifs) == expected(sequences, motifs)


def test_letters_are_those_of_the_code():
    assert {letter: set(bases) for letter, bases in IUPAC.items()} == {
        letter: set(pattern.strip("[]")) for letter, (pattern, _) in LETTERS.items()
    }


def test_an_unknown_base_matches_nothing():
    x = one_hot(["ANA", "ACA"])
    assert occurrences(x, {"any": "NNN"}) == [Occurrence(1, "any", 0, 3, ".")]
    assert occurrences(x.astype(np.float32), {"any": "NN"})[0].sequence == 1


def test_both_strands_and_palindromes():
    x = one_hot(["TTGATAAGCATATGAACTTATCAA"])
    assert occurrences(x, {"twist": "CAYATG", "GATA": "WGATAAG"}) == [
        Occurrence(0, "GATA", 1, 8, "+"),
        Occurrence(0, "twist", 8, 14, "."),
        Occurrence(0, "GATA", 16, 23, "-"),
    ]


def test_a_motif_longer_than_the_sequence_is_nowhere():
    assert occurrences(one_hot(["ACG"]), {"long": "NNNN"}) == []
    assert occurrences(one_hot(["ACG"]), {}) == []


@pytest.mark.parametrize("consensus", ["", "TGAXTCA", "tgactca", "TGA-TCA", "UGAC", "ACG ", "Ä"])
def test_another_letter_is_refused_by_name(consensus):
    with pytest.raises(InputError, match=r"^attribution\.motifs: .* of AP-1 .*IUPAC") as error:
        occurrences(one_hot(["ACGT"]), {"TATA": "TATAWAW", "AP-1": consensus})
    assert repr(consensus) in str(error.value)


@given(st.text("01", max_size=30))
def test_spans_are_runs_of_ones(text):
    mask = np.array([int(letter) for letter in text], dtype=np.uint8)
    assert spans(mask) == [match.span() for match in re.finditer("1+", text)]


def test_known_motifs_are_marked_once_where_they_overlap():
    x = one_hot(["GAGAGAGAGTTTTCAGCTG", "TTTTTTTTTTTTTTTTTTT"])
    assert marks(x, {"Trl": "GAGAG", "E-box": "CANNTG", "AC": "TCAGC"}) == [
        [Mark(0, 9, "Trl"), Mark(12, 17, "AC"), Mark(13, 19, "E-box")],
        [],
    ]


def test_planted_motifs_are_named_and_chance_hits_are_not_marked():
    #            chance    planted: GATA, then twist right beside it; an unknown one
    sequence = "AGATAAGTTTTTTAGATAAGCACATGTTTTTTACGT"
    mask = np.zeros((1, len(sequence)), dtype=np.uint8)
    mask[0, 13:26] = 1
    mask[0, 32:36] = 1
    named = marks(one_hot([sequence]), {"twist": "CAYATG", "GATA": "WGATAAG", "GC": "GC"}, mask)
    # GC lies across the border of two longer ones.
    assert named == [[Mark(13, 20, "GATA"), Mark(20, 26, "twist"), Mark(32, 36, "")]]
    # A hit that is planted in part only is not the planted one.
    mask[0, 19:] = 0
    assert marks(one_hot([sequence]), {"GATA": "WGATAAG"}, mask) == [[Mark(13, 19, "")]]


def test_every_planted_motif_of_the_simulation_is_named():
    simulation = simulate(300, length=120, decoys=0.1, seed=5)
    for column, target in enumerate(("Dev", "Hk")):
        motifs = {m.name: m.consensus for m in MOTIFS if m.target == target}
        widths = {name: len(consensus) for name, consensus in motifs.items()}
        mask = simulation.motif_mask[:, :, column]
        found = marks(simulation.x, motifs, mask)
        assert sum(map(len, found)) > 300
        for own, planted in zip(found, mask, strict=True):
            assert all(mark.stop - mark.start == widths[mark.name] for mark in own)
            covered = np.zeros(len(planted), dtype=int)
            for mark in own:
                covered[mark.start : mark.stop] += 1
            assert (covered == planted).all()
