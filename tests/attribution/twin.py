"""DeepSHAP in NumPy and float64, one pair of sequence and reference at a time: slow and plain.

Written from the definition of the rescale rule (Shrikumar, Greenside and Kundaje, ICML 2017), so
that fast code can be held against it. Values have no batch axis; multipliers are (heads, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import erf, expit

FUNCTIONS = {
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "exponential": np.exp,
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.2 * z),
    "mish": lambda z: z * np.tanh(np.logaddexp(z, 0)),
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": expit,
    "silu": lambda z: z * expit(z),
    "softplus": lambda z: np.logaddexp(z, 0),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "tanh": np.tanh,
}


def deepshap(model: keras.Model, x: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Contributions (n, L, 4, heads) of x (n, L, 4) by references (n, k, L, 4)."""
    x, references = x.astype(float), references.astype(float)
    maps = [
        np.mean([multipliers(model, one, r) * (one - r) for r in own], axis=0)
        for one, own in zip(x, references, strict=True)
    ]
    return np.moveaxis(np.stack(maps), 1, -1)


def multipliers(model: keras.Model, x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Of each base of one pair (L, 4), for every head: (heads, L, 4)."""
    pairs = {id(model.inputs[0]): (x, r)}
    calls = []
    for node in nodes(model):
        inputs, output = [id(tensor) for tensor in node.input_tensors], id(node.outputs[0])
        given = [pairs[i] for i in inputs]
        for operation in operations(node.operation):
            made = object()  # the value between two operations of one layer
            pairs[id(made)] = tuple(operation(*values) for values in zip(*given, strict=True))
            calls.append((operation, inputs, id(made), made))
            inputs, given = [id(made)], [pairs[id(made)]]
        pairs[output] = given[0]
        calls.append((Scale(1, 0), inputs, output, None))
    end = id(model.outputs[0])
    m = {end: np.eye(len(pairs[end][0]))}
    for operation, inputs, output, _ in reversed(calls):
        found = operation.back(m[output], [pairs[i] for i in inputs])
        for i, value in zip(inputs, found, strict=True):
            m[i] = m.get(i, 0) + value
    return m[id(model.inputs[0])]


def nodes(model: keras.Model) -> Iterator:
    """Calls of layers in the order of computation."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


@dataclass
class Linear:
    function: Callable

    def __call__(self, *values):
        return self.function(*values)

    def back(self, m, pairs):
        """Through the matrix of the function, found by applying it to every unit vector."""
        found = []
        for i, (x, _) in enumerate(pairs):
            inputs = [np.zeros_like(other) for other, _ in pairs]
            nothing = self.function(*inputs)
            rows = []
            for unit in np.eye(x.size):
                inputs[i] = unit.reshape(x.shape)
                rows.append((self.function(*inputs) - nothing).ravel())
            matrix = np.stack(rows)
            found.append((m.reshape(len(m), -1) @ matrix.T).reshape(-1, *x.shape))
        return found


@dataclass
class Dense:
    kernel: np.ndarray
    bias: np.ndarray

    def __call__(self, z):
        return z @ self.kernel + self.bias

    def back(self, m, pairs):
        return [m @ self.kernel.T]


@dataclass
class Scale:
    factor: np.ndarray
    shift: np.ndarray

    def __call__(self, z):
        return z * self.factor + self.shift

    def back(self, m, pairs):
        return [m * self.factor]


@dataclass
class Convolution:
    """Each tap of the kernel (width, channels, filters) sees the input a step further on."""

    kernel: np.ndarray
    bias: np.ndarray
    dilation: int
    same: bool

    def taps(self, length):
        """(input positions, output positions, tap), both within the sequence."""
        reach = self.dilation * (len(self.kernel) - 1)
        before = reach // 2 if self.same else 0
        outputs = np.arange(length if self.same else length - reach)
        for i, tap in enumerate(self.kernel):
            inputs = outputs + i * self.dilation - before
            inside = (inputs >= 0) & (inputs < length)
            yield inputs[inside], outputs[inside], tap

    def __call__(self, z):
        taps = list(self.taps(len(z)))
        reach = self.dilation * (len(self.kernel) - 1)
        found = np.zeros((len(z) - (0 if self.same else reach), len(self.bias)))
        for inputs, outputs, tap in taps:
            found[outputs] += z[inputs] @ tap
        return found + self.bias

    def back(self, m, pairs):
        [(x, _)] = pairs
        found = np.zeros((len(m), *x.shape))
        for inputs, outputs, tap in self.taps(len(x)):
            found[:, inputs] += m[:, outputs] @ tap.T
        return [found]


@dataclass
class Elementwise:
    function: Callable

    def __call__(self, z):
        return self.function(z)

    def back(self, m, pairs):
        [(x, r)] = pairs
        step, middle = x - r, (x + r) / 2
        equal = np.abs(step) < 1e-8
        slope = (self.function(middle + 1e-5) - self.function(middle - 1e-5)) / 2e-5
        quotient = (self.function(x) - self.function(r)) / np.where(equal, 1, step)
        return [m * np.where(equal, slope, quotient)]


@dataclass
class Maximum:
    """Over windows: ``windows(z)`` gives the positions of each."""

    windows: Callable
    keepdims: bool = True

    def __call__(self, z):
        found = np.stack([z[places].max(axis=0) for places in self.windows(z)])
        return found if self.keepdims else found[0]

    def back(self, m, pairs):
        [(x, r)] = pairs
        m = m.reshape(len(m), -1, x.shape[1])
        found = np.zeros((len(m), *x.shape))
        for i, places in enumerate(self.windows(x)):
            for channel in range(x.shape[1]):
                x_here, r_here = x[places, channel], r[places, channel]
                change = x_here.max() - r_here.max()
                place = (x_here if change > 0 else r_here).argmax()
                step = x_here[place] - r_here[place]
                if abs(step) > 1e-12:
                    found[:, places[place], channel] += m[:, i, channel] * change / step
        return [found]


@dataclass
class Reshape:
    shape: tuple[int, ...] = (-1,)

    def __call__(self, z):
        return z.reshape(self.shape)

    def back(self, m, pairs):
        return [m.reshape(-1, *pairs[0][0].shape)]


class Product:
    def __call__(self, one, other):
        return one * other

    def back(self, m, pairs):
        (x1, r1), (x2, r2) = pairs
        shares = m * (x2 + r2) / 2, m * (x1 + r1) / 2
        # A gate (1, channels) or (channels,) acts at all positions.
        return [
            share.sum(axis=1, keepdims=True).reshape(-1, *x.shape)
            if x.size < share[0].size
            else share
            for share, (x, _) in zip(shares, pairs, strict=True)
        ]


def operations(layer) -> list:
    """What a layer does when predicting, one after another."""
    kind = type(layer).__name__
    if kind == "Dropout":
        return []
    if kind == "Activation":
        return activation(layer)
    if kind == "Dense":
        kernel, bias = weights(layer)
        return [Dense(kernel, bias), *activation(layer)]
    if kind == "Conv1D":
        kernel, bias = weights(layer)
        dilation, same = layer.dilation_rate[0], layer.padding == "same"
        return [Convolution(kernel, bias, dilation, same), *activation(layer)]
    if kind == "BatchNormalization":
        gamma, beta, mean, variance = weights(layer)
        scale = gamma / np.sqrt(variance + layer.epsilon)
        return [Scale(scale, beta - mean * scale)]
    if kind == "AveragePooling1D":
        width, stride, same = layer.pool_size[0], layer.strides[0], layer.padding == "same"
        return [
            Linear(lambda z: np.stack([z[w].mean(0) for w in windows(len(z), width, stride, same)]))
        ]
    if kind == "MaxPooling1D":
        width, stride, same = layer.pool_size[0], layer.strides[0], layer.padding == "same"
        return [Maximum(lambda z: windows(len(z), width, stride, same))]
    if kind == "GlobalMaxPooling1D":
        return [Maximum(lambda z: [np.arange(len(z))], keepdims=False)]
    if kind == "Reshape":
        return [Reshape(layer.target_shape)]
    return {
        "Add": [Linear(lambda *terms: sum(terms))],
        "Flatten": [Reshape()],
        "GlobalAveragePooling1D": [Linear(lambda z: z.mean(axis=0))],
        "Multiply": [Product()],
    }[kind]


def weights(layer) -> list[np.ndarray]:
    return [weight.astype(float) for weight in layer.get_weights()]


def activation(layer) -> list[Elementwise]:
    name = layer.activation.__name__
    return [] if name == "linear" else [Elementwise(FUNCTIONS[name])]


def windows(length, width, stride, same) -> list[np.ndarray]:
    """Positions in each window of a pooling layer; ``same`` hangs over both ends, the end more."""
    if not same:
        starts = range(0, length - width + 1, stride)
    else:
        count = -(-length // stride)
        over = max((count - 1) * stride + width - length, 0)
        starts = range(-(over // 2), length, stride)[:count]
    return [np.arange(max(start, 0), min(start + width, length)) for start in starts]
