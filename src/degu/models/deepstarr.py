"""DeepSTARR (de Almeida et al., Nature Genetics 54, 613-624, 2022)."""

from __future__ import annotations

import keras
from keras import layers

from degu.errors import InputError


def deepstarr(input_shape: tuple[int, ...], output_dim: int) -> keras.Model:
    """The published DeepSTARR with ``output_dim`` linear outputs, uncompiled.

    Four convolutions (256×7, 60×3, 60×5, 120×3, same padding), each followed by batch norm, ReLU
    and max pooling by 2; then two dense layers of 256 with batch norm, ReLU and dropout 0.4.

    Args:
        input_shape: (L, 4); L at least 16, because the length is halved four times.
        output_dim: number of output columns.

    Raises:
        InputError: for shorter sequences.
    """
    if input_shape[0] < 16:
        raise InputError(
            f"model: deepstarr halves the length of its sequences four times, so it needs 16 bases "
            f"or more, not {input_shape[0]}; pad the sequences or name another model."
        )
    inputs = keras.Input(shape=input_shape)
    x = inputs
    for filters, kernel_size in ((256, 7), (60, 3), (60, 5), (120, 3)):
        x = layers.Conv1D(filters, kernel_size, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling1D(2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(256)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(0.4)(x)
    return keras.Model(inputs, layers.Dense(output_dim)(x), name="DeepSTARR")
