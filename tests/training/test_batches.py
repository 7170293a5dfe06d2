"""Batches: what their random numbers depend on."""

import gc
import weakref

import keras
import numpy as np
import pytest

from degu.dataset.copies import Copies
from degu.sequences import base_codes, from_codes
from degu.training.batches import Batches, predict


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


@pytest.fixture
def mixed():
    """Eleven sequences, two copies of each, and labels that tell all of them apart."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (3, 11, 6)).astype(np.uint8)
    y = np.arange(33, dtype=np.float32).reshape(3, 11, 1)
    return codes, y


def epochs_of(batches, n):
    for epoch in range(n):
        batches.set_epoch(epoch)
        yield [batches[i] for i in range(len(batches))]


def test_every_sequence_and_copy_comes_once_in_as_many_epochs_as_there_are(mixed):
    codes, y = mixed
    batches = Batches(
        from_codes(codes[0]), y[0], 4, shuffle_seed=3, copies=Copies(codes[1:], y[1:])
    )
    assert len(batches) == 3
    seen = []
    for epoch in epochs_of(batches, 3):
        assert [len(x) for x, _ in epoch] == [4, 4, 3]
        for x, labels in epoch:
            assert x.dtype == np.float32
            seen += zip(base_codes(x).tolist(), labels[:, 0].tolist(), strict=True)
    assert sorted(label for _, label in seen) == list(range(33))
    for sequence, label in seen:
        assert sequence == codes.reshape(33, 6)[int(label)].tolist()
    # Each epoch mixes them.
    assert all(len({label // 11 for _, label in seen[i : i + 11]}) > 1 for i in (0, 11, 22))


def test_copies_take_turns_where_the_order_stays(mixed):
    codes, y = mixed
    batches = Batches(from_codes(codes[0]), y[0], 4, copies=Copies(codes[1:], y[1:]))
    for k, epoch in enumerate(epochs_of(batches, 4)):
        labels = np.concatenate([labels[:, 0] for _, labels in epoch])
        np.testing.assert_array_equal(labels, y[k % 3, :, 0])


def test_a_copy_has_the_weight_of_its_sequence(mixed):
    codes, y = mixed
    weights = np.arange(11.0)
    copies = Copies(codes[1:], y[1:])
    batches = Batches(from_codes(codes[0]), y[0], 4, 3, sample_weight=weights, copies=copies)
    for _, labels, weight in next(epochs_of(batches, 1)):
        np.testing.assert_array_equal(labels[:, 0] % 11, weight)


def test_copies_of_other_sequences_are_refused(mixed):
    codes, y = mixed
    with pytest.raises(ValueError, match="do not fit"):
        Batches(from_codes(codes[0, :10]), y[0, :10], copies=Copies(codes[1:], y[1:]))
    with pytest.raises(ValueError, match="one array"):
        Batches([from_codes(codes[0])], y[0], copies=Copies(codes[1:], y[1:]))


def test_labels_of_copies_are_fractions_beside_targets_that_are_whole_numbers(mixed):
    codes, y = mixed
    targets = y[0].astype(np.int64)
    batches = Batches(from_codes(codes[0]), targets, 11, copies=Copies(codes[1:], y[1:] + 0.5))
    (first,), (second,) = epochs_of(batches, 2)
    np.testing.assert_array_equal(first[1], targets)
    np.testing.assert_array_equal(second[1], y[1] + 0.5)


def test_sequences_are_let_go_after_they_were_predicted():
    """TensorFlow keeps what makes its batches; of a million sequences that was a gigabyte."""
    model = keras.Sequential([keras.Input((8, 4)), keras.layers.Flatten(), keras.layers.Dense(1)])
    left = []
    for _ in range(2):
        x = np.zeros((20, 8, 4), np.uint8)
        left.append(weakref.ref(x))
        assert predict(model, x, batch_size=8).shape == (20, 1)
        del x
    gc.collect()
    assert [one() for one in left] == [None, None]
