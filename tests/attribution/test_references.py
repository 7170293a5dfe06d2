"""References are the draw that is documented, and keep what they promise to keep."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from conftest import random_one_hot, run_python

from degu.attribution.references import (
    sample_references,
    sample_rows,
    shuffled_references,
    uniform,
)
from degu.errors import InputError
from degu.sequences import decode, one_hot


def test_shared_references_are_the_published_draw():
    x = random_one_hot(250, 20)
    rows = np.random.default_rng(1234).choice(250, 100, replace=False)
    assert len(set(rows)) == 100
    np.testing.assert_array_equal(sample_references(x), x[rows])
    np.testing.assert_array_equal(sample_rows(250, 100, 1234), rows)
    other = np.random.default_rng(5).choice(250, 7, replace=False)
    np.testing.assert_array_equal(sample_references(x, 7, seed=5), x[other])


def test_all_sequences_may_be_references_and_their_type_stays():
    x = random_one_hot(6, 9).astype(np.float32)
    references = sample_references(x, 6)
    assert references.dtype == np.float32
    assert sorted(decode(references)) == sorted(decode(x))


def test_shuffles_keep_every_dinucleotide_of_their_sequence():
    x = one_hot(["ACGTNNACGTACCTGANCAT" * 2, "AACCGGTTAACCGGTTNNNN" * 2])
    references = shuffled_references(x, 30, seed=2)
    assert (references.shape, references.dtype) == ((2, 30, 40, 4), np.uint8)
    for source, shuffles in zip(decode(x), references, strict=True):
        pairs = Counter(pairwise(source))
        texts = decode(shuffles)
        assert all(Counter(pairwise(t)) == pairs for t in texts)
        assert len(set(texts)) > 20
    np.testing.assert_array_equal(references, shuffled_references(x, 30, seed=2))
    assert (references != shuffled_references(x, 30, seed=3)).any()


def test_uniform_prefers_no_base_and_leaves_unknown_ones():
    references = uniform(one_hot(["ACN", "NGT"]))
    quarter, none = [0.25] * 4, [0.0] * 4
    np.testing.assert_array_equal(
        references, [[[quarter, quarter, none]], [[none, quarter, quarter]]]
    )
    assert references.dtype == np.float32


@pytest.mark.parametrize("k", [0, -1, 11])
def test_more_references_than_sequences_or_none(k):
    with pytest.raises(InputError, match=rf"1 to 10, the number of sequences, but got k = {k}\.$"):
        sample_references(random_one_hot(10, 5), k)


@pytest.mark.parametrize("make", [sample_references, shuffled_references, uniform])
@pytest.mark.parametrize("shape", [(5, 4), (0, 5, 4), (3, 5, 3), (2, 3, 5, 4)])
def test_other_shapes_are_refused(make, shape):
    with pytest.raises(InputError, match=r"shape \(n, L, 4\), but got"):
        make(np.zeros(shape, np.uint8))


def test_shuffles_need_one_hot_sequences_and_a_number():
    with pytest.raises(InputError, match="one-hot"):
        shuffled_references(np.full((2, 5, 4), 0.25), 3)
    with pytest.raises(InputError, match="at least 1, but got 0"):
        shuffled_references(random_one_hot(2, 5), 0)


def test_the_module_needs_no_keras(tmp_path):
    code = (
        "import sys; from degu.attribution import uniform; import degu.attribution.selection; "
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    assert run_python(code, cwd=tmp_path).stdout.strip() == "set()"
