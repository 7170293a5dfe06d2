"""Batches: what their random numbers depend on."""

import numpy as np
import pytest

from degu.training.batches import Batches


@pytest.fixture
def drawn():
    """A function that gives the numbers that an epoch's augmentation draws, a row a batch."""
    seen = []

    def augment(x, rng):
        seen.append(rng.random(3))
        return x

    batches = Batches(np.arange(10.0)[:, None], np.zeros((10, 1)), 4, 1, None, augment, 7)

    def draw(epoch):
        seen.clear()
        batches.set_epoch(epoch)
        for i in range(len(batches)):
            batches[i]
        return np.array(seen)

    return draw


def test_every_epoch_and_batch_is_augmented_anew(drawn):
    epochs = [drawn(epoch) for epoch in range(3)]
    assert [len(epoch) for epoch in epochs] == [3, 3, 3]
    assert len(np.unique(np.concatenate(epochs))) == 3 * 3 * 3


def test_an_epoch_is_the_same_whenever_it_is_taken_up(drawn):
    first = drawn(2)
    drawn(0)
    np.testing.assert_array_equal(drawn(2), first)
