"""What makes two models one architecture."""

import keras
import pytest
from keras import layers

from degu.models.identity import architecture_sha256


def net(activation="relu", names=(None, None), dtype=None, width=3, seed=None):
    inputs = keras.Input((20, 4))
    conv, unit = names
    x = layers.Conv1D(3, width, dtype=dtype, name=conv)(inputs)
    x = layers.Activation(activation, name=unit)(x)
    x = layers.Dropout(0.5, seed=seed)(x)
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))


def test_names_seeds_and_weights_do_not_count():
    wanted = architecture_sha256(net())
    assert architecture_sha256(net()) == wanted  # other names, by Keras's count
    assert architecture_sha256(net(names=("a", "b"), seed=5)) == wanted
    assert architecture_sha256(net(names=("relu", "float32"))) == wanted
    read = keras.models.model_from_json(net().to_json())
    assert architecture_sha256(read) == wanted


@pytest.mark.parametrize("unit", [None, "relu", "tanh"])
@pytest.mark.parametrize(
    "change", [{"activation": "tanh"}, {"width": 5}, {"dtype": "mixed_float16"}]
)
def test_another_layer_is_another_architecture_whatever_it_is_called(change, unit):
    name = change.get("activation", unit) if unit else None
    other = net(**change, names=(change.get("dtype"), name))
    assert architecture_sha256(other) != architecture_sha256(net(names=("float32", unit)))


def test_which_layer_feeds_which_counts():
    def joined(swapped):
        inputs = keras.Input((20, 4))
        one, other = layers.Conv1D(3, 3)(inputs), layers.Conv1D(3, 3, activation="relu")(inputs)
        order = [other, one] if swapped else [one, other]
        return keras.Model(inputs, layers.Flatten()(layers.Subtract()(order)))

    assert architecture_sha256(joined(False)) == architecture_sha256(joined(False))
    assert architecture_sha256(joined(False)) != architecture_sha256(joined(True))
