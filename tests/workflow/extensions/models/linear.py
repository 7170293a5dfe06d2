"""A linear model of the sequence."""

import keras


def linear(input_shape, output_dim):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(output_dim)(x), name="Linear")
