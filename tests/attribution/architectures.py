"""Small models of the kinds that are attributed, with weights that hide no mistake."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from degu import models

LENGTH = 41  # odd, so that pooling drops positions


def randomized(model: keras.Model, seed: int = 0) -> keras.Model:
    """Draw every bias, batch norm's statistics and the rest of what Keras starts at 0 or 1."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        drawn = []
        for weight in layer.weights if not isinstance(layer, keras.Model) else []:
            value = np.asarray(weight)
            if weight.name in ("gamma", "moving_variance"):
                value = rng.uniform(0.5, 1.5, value.shape)
            elif weight.name in ("bias", "beta", "moving_mean", "alpha"):
                value = rng.normal(0, 0.3, value.shape)
            elif "kernel" in weight.name:
                # Of the size that a trained network has, where units are far from linear.
                value = rng.normal(0, 1.5 / np.sqrt(value[..., 0].size), value.shape)
            drawn.append(value)
        if drawn:
            layer.set_weights(drawn)
    return model


def deepstarr(length: int = 249, heads: int = 2) -> keras.Model:
    """The real one."""
    return randomized(models.build("deepstarr", (length, 4), heads))


def compact(length: int = 100, heads: int = 2) -> keras.Model:
    """The real one, whose batch norm comes after pooling."""
    return randomized(models.build("compact", (length, 4), heads))


def residualbind(
    length: int = 230,
    heads: int = 3,
    activation: str = "silu",
    first: str | None = None,
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16),
    widths: tuple[int, int, int] = (196, 256, 256),
    pool: Callable[..., layers.Layer] = layers.AveragePooling1D,
) -> keras.Model:
    """ResidualBind as published for lentiMPRA, or a variant of it.

    Args:
        activation: of all layers but the first.
        first: of the first layer.
        dilations: of the residual block; all 1 for none.
        widths: of the first convolution and the block, of the second and of the dense layers.
        pool: the layer that pools.
    """

    def unit(x, function, dropout):
        x = layers.BatchNormalization()(x)
        return layers.Dropout(dropout)(layers.Activation(function)(x))

    inputs = keras.Input((length, 4))
    x = layers.Conv1D(widths[0], min(19, length // 3), padding="same")(inputs)
    x = block = unit(x, first or activation, 0.2)
    for i, dilation in enumerate(dilations):
        if i:
            block = layers.Dropout(0.1)(layers.Activation(activation)(block))
        block = layers.Conv1D(widths[0], 3, padding="same", dilation_rate=dilation)(block)
        block = layers.BatchNormalization()(block)
    x = layers.Activation(activation)(layers.Add()([x, block]))
    x = pool(5 if length > 100 else 2)(x)
    x = layers.Conv1D(widths[1], min(7, length // 6), padding="same")(x)
    x = pool(5 if length > 100 else 2)(unit(x, activation, 0.2))
    x = unit(layers.Dense(widths[2])(x), activation, 0.5)
    x = layers.GlobalAveragePooling1D()(x)
    x = unit(layers.Dense(widths[2])(x), activation, 0.5)
    return randomized(keras.Model(inputs, layers.Dense(heads)(x), name="ResidualBind"))


def small_residualbind(**options) -> keras.Model:
    small = {"length": LENGTH, "heads": 2, "widths": (8, 10, 12), "dilations": (1, 2, 4)}
    return residualbind(**{**small, **options})


def around(*middle: layers.Layer, heads: int = 2) -> keras.Model:
    """A convolution, the layers to be tested in a row, and a dense head."""
    x = inputs = keras.Input((LENGTH, 4))
    for layer in (layers.Conv1D(6, 5), *middle, layers.Flatten(), layers.Dense(heads)):
        x = layer(x)
    return randomized(keras.Model(inputs, x))


def gated() -> keras.Model:
    """Squeeze and excite, a gate of each unit, and layers that are used twice."""
    inputs = keras.Input((LENGTH, 4))
    x = layers.Conv1D(6, 5, activation="gelu")(inputs)
    squeezed = layers.Dense(3, activation="relu")(layers.GlobalAveragePooling1D()(x))
    excited = layers.Reshape((1, 6))(layers.Dense(6, activation="sigmoid")(squeezed))
    x = layers.Multiply()([x, excited])
    shared = layers.Conv1D(6, 3, padding="same", activation="softplus")
    x = layers.Add()([shared(shared(x)), x])
    x = layers.Multiply()([layers.Dense(6)(x), layers.Dense(6, activation="tanh")(x)])
    x = layers.GlobalMaxPooling1D()(x)
    return randomized(keras.Model(inputs, layers.Dense(2)(x)))


def nested() -> keras.Model:
    """A Sequential model and a functional one of two inputs within a functional one."""
    stem = keras.Sequential(
        [keras.Input((None, 4)), layers.Conv1D(6, 5, padding="same"), layers.ELU()]
    )
    one, other = keras.Input((LENGTH, 6)), keras.Input((LENGTH, 6))
    meet = keras.Model([one, other], layers.Concatenate()([other, layers.Subtract()([one, other])]))
    inputs = keras.Input((LENGTH, 4))
    forward = stem(inputs)
    again = layers.Conv1D(6, 3, padding="same", activation="silu")(forward)
    x = layers.MaxPooling1D(3, 2, padding="same")(meet([forward, again]))
    x = layers.LeakyReLU()(layers.Flatten()(x))
    return randomized(keras.Model(inputs, layers.Dense(2)(x)))
