"""What methods ask of their arguments."""

import keras
import numpy as np
import pytest
from conftest import random_one_hot
from keras import layers

from degu.attribution.inputs import (
    as_heads,
    as_models,
    as_sequences,
    batches,
    check_numbers,
    one_or_all,
    progress_bar,
)
from degu.errors import InputError


def dense(length=6, heads=3):
    return keras.Sequential([keras.Input((length, 4)), layers.Flatten(), layers.Dense(heads)])


def test_one_model_is_an_ensemble_of_one():
    one, other = dense(), dense()
    assert as_models(one) == [one]
    assert as_models((one, other)) == [one, other]
    assert as_models(iter([one])) == [one]


def no_column():
    return keras.Sequential([keras.Input((6, 4)), layers.Dense(2)])


def two_inputs():
    one, other = keras.Input((6, 4)), keras.Input((6, 4))
    x = layers.Dense(1)(layers.Flatten()(layers.Add()([one, other])))
    return keras.Model([one, other], x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "but got None; load one"),
        (lambda: "1.h5", "but got '1.h5'; load one"),
        (lambda: [], "empty ensemble"),
        (lambda: [np.zeros(3)], "functional or Sequential Keras model"),
        (lambda: keras.Sequential([layers.Dense(2)]), "functional or Sequential Keras model"),
        (no_column, r"goes from \(None, 6, 4\) to \(None, 6, 2\)"),
        (two_inputs, r"from sequences \(N, L, 4\)"),
        (lambda: [dense(), dense(heads=2)], r"one shape.*to \(None, 2\) and .* to \(None, 3\)"),
        (lambda: [dense(), dense(length=7)], "one shape"),
    ],
)
def test_what_is_no_model_of_sequences_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        as_models(make())


def test_heads_are_columns():
    models = [dense()]
    assert as_heads(models, 2) == [2]
    assert as_heads(models, (2, 0)) == [2, 0]
    found = as_heads(models, np.array([1, 2]))
    assert found == [1, 2]
    assert all(type(head) is int for head in found)  # part of a key of what is compiled
    assert as_heads(models, range(3)) == [0, 1, 2]
    for wrong in (3, -1, True, 1.0, "0", [0, 3], [1, 1], [], [np.True_]):
        with pytest.raises(InputError, match=r"no head|distinct"):
            as_heads(models, wrong)


def test_sequences_keep_their_type():
    models = [dense()]
    for dtype in (bool, np.uint8, np.float64):
        x = random_one_hot(2, 6).astype(dtype)
        assert as_sequences(models, x) is x
    assert as_sequences(models, random_one_hot(2, 6).tolist()).shape == (2, 6, 4)
    anyhow = keras.Sequential([keras.Input((None, 4)), layers.GlobalAveragePooling1D()])
    assert as_sequences([anyhow], np.zeros((1, 9, 4))).shape == (1, 9, 4)


@pytest.mark.parametrize("shape", [(6, 4), (2, 5, 4), (2, 6, 3), (0, 6, 4), (1, 2, 6, 4)])
def test_sequences_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"sequences y of shape \(n, 6, 4\), but got"):
        as_sequences([dense()], np.zeros(shape), "y")


@pytest.mark.parametrize(
    "values",
    [np.array([np.nan]), np.array([np.inf]), np.array(["A"]), np.array([1j]), np.array([None])],
)
def test_what_is_no_finite_number_is_refused(values):
    check_numbers(np.array([True]), "these")
    with pytest.raises(InputError, match="needs these of finite numbers"):
        check_numbers(values, "these")


@pytest.mark.parametrize(("n", "size", "lengths"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 9, [2])])
def test_batches_cover_all_rows_in_order(n, size, lengths):
    rows = np.arange(n)
    parts = [rows[some] for some in batches(n, size)]
    assert [len(part) for part in parts] == lengths
    np.testing.assert_array_equal(np.concatenate(parts), rows)


def test_a_batch_size_is_refused_at_once():
    with pytest.raises(InputError, match="at least 1, but is 0"):
        batches(3, 0)


def test_a_single_head_has_no_axis():
    maps = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(one_or_all(maps, 1), [0, 2, 4])
    for several in ([0, 1], (0, 1), np.array([0, 1]), range(2)):
        assert one_or_all(maps, several) is maps


def test_a_bar_is_shown_on_request(capfd):
    for shown, words in ((True, "9/9"), (False, "")):
        with progress_bar(9, "maps", "sequence", shown) as bar:
            bar.update(9)
        assert words in (printed := capfd.readouterr().err)
        assert shown or not printed
