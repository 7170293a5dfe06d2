"""A small convolutional network for laptops and small assays."""

from __future__ import annotations

import keras
from keras import layers

from degu.errors import InputError


def compact(input_shape: tuple[int, ...], output_dim: int) -> keras.Model:
    """Two convolutions and a dense layer, with ``output_dim`` linear outputs, uncompiled.

    48 filters of 11 bp, as wide as most motifs, and 48 of 5 over pooled positions, for motifs side
    by side; same padding, max pooling by 4. Then a dense layer of 64 with dropout 0.4. A training
    step takes about a tenth of DeepSTARR's. Batch norm and ReLU come after the pooling rather than
    before it, where they would have four times as many positions to work on; ReLU commutes with max
    pooling, and so does batch norm where its scale is positive.

    Args:
        input_shape: (L, 4); L at least 16, because the length is divided by four twice.
        output_dim: number of output columns.

    Raises:
        InputError: for shorter sequences.
    """
    if input_shape[0] < 16:
        raise InputError(
            f"model: compact divides the length of its sequences by four twice, so it needs 16 "
            f"bases or more, not {input_shape[0]}; pad the sequences or name another model."
        )
    inputs = keras.Input(shape=input_shape)
    x = inputs
    for filters, kernel_size in ((48, 11), (48, 5)):
        x = layers.Conv1D(filters, kernel_size, padding="same")(x)
        x = layers.MaxPooling1D(4)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(inputs, layers.Dense(output_dim)(x), name="Compact")
