"""DeepLIFT's rules: how each kind of operation hands multipliers from its output to its inputs.

A multiplier says what a change of a unit, from its value r on a reference to its value x on the
sequence, is worth at the output. By the rescale rule (Shrikumar, Greenside and Kundaje, ICML 2017)
these worths add up: of every operation f here, with inputs x_i and r_i,

    Σ_i multiplier_i · (x_i − r_i) = multiplier_out · (f(x) − f(r))

but for rounding. Where x and r coincide (of pooling, in a whole window), a multiplier is the
derivative at x, which is its limit.

There are S sequences, K references of each, and so P = S·K pairs. ``x`` is (S, 1, ...) and ``r``
(S, K, ...), or (1, K, ...) where all sequences share their references. Multipliers are
(H, P, ...) for H heads, or (H, 1, ...) as long as they are the same for all pairs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from itertools import product
from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any
Shape = tuple[int, ...]

SMOOTH_STEP = 1e-2
"""Below this |x − r| a smooth f is followed along its tangent halfway between them. The quotient
(f(x) − f(r)) / (x − r) carries a rounding error of 1e-7 / |x − r| times f, which grows as x nears
r; the tangent misses (x − r)² / 24 times f'''. At 1e-2 they are alike, some 1e-5 and 4e-6. Of the
difference f(x) − f(r) the tangent misses no more than 1e-6 / 24 = 4e-8 times f''' there, less than
float32 rounds f itself: additivity does not suffer."""

POOL_STEP, POOL_SHARE = 1e-7, 1e-5
"""Where x and r at the position of a maximum are nearer than the first, and than the second as a
share of their size, no difference is put down to it. The first is shap's: such pairs are not so
rare that maps were equal without it. Alone it would ignore all units of a small scale.
"""

UNROLLED = 16
"""The largest window whose places are compared one after another, rather than by a reduction."""


class Rule(ABC):
    """One operation of a network, and what DeepLIFT makes of it."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """The operation itself, (N, ...) to (N, ...)."""

    @abstractmethod
    def save(self, x: Sequence[Tensor], r: Sequence[Tensor]) -> list[Tensor]:
        """What :meth:`backward` needs to know of the inputs' values, the same for all heads."""

    @abstractmethod
    def backward(self, m: Tensor, saved: Sequence[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
        """Multipliers of the inputs, of ``shapes``, from those of the output."""


class Linear(Rule):
    """An affine operation: multipliers go back as gradients do."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)

    def save(self, x: Sequence[Tensor], r: Sequence[Tensor]) -> list[Tensor]:
        return []

    def backward(self, m: Tensor, saved: Sequence[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
        # The gradient depends on no value, so TensorFlow prunes this forward pass from the graph.
        folded = tf.reshape(m, [-1, *m.shape[2:]])
        zeros = [tf.zeros([folded.shape[0], *shape]) for shape in shapes]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(zeros)
            output = self.function(*zeros)
        gradients = tape.gradient(output, zeros, output_gradients=folded)
        return [tf.reshape(g, [*m.shape[:2], *g.shape[1:]]) for g in gradients]


class NarrowConvolution(Linear):
    """A convolution over few channels, such as the four bases, one position at a time.

    Libraries are slow at the gradient of such a one. Here each unit sends its multiplier to the
    bases under its kernel by a product of matrices, and what meets at a base is added up.

    Args:
        function: the convolution, (N, L, channels) to (N, positions, filters).
        kernel: (width, channels, filters).
        before: positions by which the first window hangs over the start.
    """

    def __init__(self, function: Callable[..., Tensor], kernel: Tensor, before: int) -> None:
        super().__init__(function)
        self.width, _, filters = kernel.shape
        self.taps = tf.reshape(tf.transpose(kernel, [2, 0, 1]), [filters, -1])
        self.before = before
        self.add_up = tf.function(self._add_up, jit_compile=True, autograph=False)

    def backward(self, m: Tensor, saved: Sequence[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
        sent = tf.reshape(m, [-1, m.shape[-1]]) @ self.taps
        return [self.add_up(tf.reshape(sent, [*m.shape[:3], self.width, -1]), shapes[0][0])]

    def _add_up(self, sent: Tensor, length: int) -> Tensor:
        first = self.width - 1 - self.before
        last = length + self.width - 1 - first - sent.shape[2]
        sent = tf.pad(sent, [[0, 0], [0, 0], [first, last], [0, 0], [0, 0]])
        ends = range(self.width - 1, -1, -1)
        return tf.add_n([sent[:, :, end : end + length, tap] for tap, end in enumerate(ends)])


class Affine(Linear):
    """A factor and a shift of each channel, the last axis: batch norm, or (without factor) a bias.

    Its result is rounded as in the model itself. Within a compiled function XLA would make one
    operation of product and sum, rounded once; but of two values in a window that are all but
    equal, another rounding makes another the maximum, and so another map. The product is passed
    through bits that XLA cannot know to change nothing, so that it has to be finished first.
    """

    def __init__(self, factor: Tensor | None, shift: Tensor) -> None:
        super().__init__(self._apply)
        self.factor, self.shift, self.no_bits = factor, shift, tf.constant(0)

    def _apply(self, z: Tensor) -> Tensor:
        if self.factor is not None:
            product = tf.bitcast(z * self.factor, tf.int32)
            z = tf.bitcast(product | self.no_bits, tf.float32)
        return z + self.shift

    def backward(self, m: Tensor, saved: Sequence[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
        return [m if self.factor is None else m * self.factor]


class Nonlinear(Rule):
    """An operation whose multipliers depend on the pair.

    What takes time are passes over memory and not arithmetic, so XLA makes one of many, and the
    biases and batch norms before the operation (``before``) are part of it.
    """

    before: tuple[Affine, ...] = ()

    @cached_property
    def compiled(self) -> Compiled:
        """The operation and what lies before it, compiled."""

        def enter(values: Sequence[Tensor]) -> list[Tensor]:
            for affine in self.before:
                values = [affine.forward(*values)]
            return list(values)

        def forward(inputs: list[Tensor]) -> Tensor:
            return self.forward(*enter(inputs))

        def meet(x: list[Tensor], r: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            x, r = enter(x), enter(r)
            return self.forward(*map(_as_pairs, x)), self.save(x, r)

        def meet_own(x: list[Tensor], r: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
            x, r = enter(x), enter(r)
            outputs = (self.forward(*map(_as_pairs, values)) for values in (x, r))
            return *outputs, self.save(x, r)

        def backward(m: Tensor, saved: list[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
            found = self.backward(m, saved, shapes)
            for affine in self.before:
                found = affine.backward(found[0], [], shapes)
            return found

        functions = forward, meet, meet_own, backward
        return Compiled(*(tf.function(f, jit_compile=True, autograph=False) for f in functions))


class Compiled(NamedTuple):
    """Of a :class:`Nonlinear` with all that lies before it."""

    forward: Callable[..., Tensor]
    """The operation of (N, ...)."""
    meet: Callable[..., tuple[Tensor, list[Tensor]]]
    """The operation of x, and ``save``."""
    meet_own: Callable[..., tuple[Tensor, Tensor, list[Tensor]]]
    """The operation of x and of r, and ``save``."""
    backward: Callable[..., list[Tensor]]


class Elementwise(Nonlinear):
    """An activation function of one unit at a time.

    Args:
        function: (..., units) to the same shape.
        kinks: where the function or one of its first two derivatives jumps. With x and r on two
            sides of one the quotient holds however near they are; there is no tangent.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], kinks: Sequence[float] = ()) -> None:
        self.function, self.kinks = function, tuple(kinks)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs[0])

    def save(self, x: Sequence[Tensor], r: Sequence[Tensor]) -> list[Tensor]:
        step = x[0] - r[0]
        near = tf.abs(step) < SMOOTH_STEP
        for kink in self.kinks:
            near &= tf.sign(x[0] - kink) == tf.sign(r[0] - kink)
        near |= step == 0  # also of numbers so small that they count as 0
        quotient = (self.function(x[0]) - self.function(r[0])) / tf.where(near, 1.0, step)
        return [_as_pairs(tf.where(near, self._slope((x[0] + r[0]) / 2), quotient))]

    def _slope(self, z: Tensor) -> Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            value = self.function(z)
        return tape.gradient(value, z)

    def backward(self, m: Tensor, saved: Sequence[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
        return [m * saved[0]]


class ReLU(Elementwise):
    """max(z, 0). With x and r on one side its quotient is exactly 0 or 1, however near they are."""

    def __init__(self) -> None:
        super().__init__(tf.nn.relu)

    def save(self, x: Sequence[Tensor], r: Sequence[Tensor]) -> list[Tensor]:
        step = x[0] - r[0]
        quotient = (tf.nn.relu(x[0]) - tf.nn.relu(r[0])) / tf.where(step == 0, 1.0, step)
        return [_as_pairs(tf.where(step == 0, tf.cast(x[0] > 0, step.dtype), quotient))]


class MaxPooling(Nonlinear):
    """The maximum over windows; also that of ReLU, since ReLU and maximum may change places.

    The difference of the outputs is put down to the one position that holds the larger of the two
    maxima (as in shap): the input changes there by as much or more, in the same direction.

    Args:
        size: of the windows, a number for each spatial axis; None for all positions.
        strides: of the windows.
        same: whether windows hang over the ends (Keras's ``same``) or not (``valid``).
        keepdims: whether spatial axes are kept where all positions are pooled.
        relu: whether ReLU is applied as well.
    """

    def __init__(
        self,
        size: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        same: bool = False,
        keepdims: bool = True,
        relu: bool = False,
    ) -> None:
        self.size, self.strides, self.same = size, strides, same
        self.keepdims, self.relu = keepdims, relu

    def with_relu(self) -> MaxPooling:
        """The same after ReLU."""
        return MaxPooling(self.size, self.strides, self.same, self.keepdims, relu=True)

    def forward(self, *inputs: Tensor) -> Tensor:
        largest = _largest(self._windows(inputs[0], 1))
        largest = tf.nn.relu(largest) if self.relu else largest
        return largest if self.keepdims else tf.reshape(largest, [-1, largest.shape[-1]])

    def save(self, x: Sequence[Tensor], r: Sequence[Tensor]) -> list[Tensor]:
        x_windows, r_windows = self._windows(x[0], 2), self._windows(r[0], 2)
        x_place, r_place = _first_largest(x_windows), _first_largest(r_windows)
        x_largest, r_largest = _largest(x_windows), _largest(r_windows)
        place = tf.where(x_largest >= r_largest, x_place, r_place)
        x_there, r_there = _pick(x_windows, place), _pick(r_windows, place)
        slope = tf.cast(_same(x_windows, r_windows), x_there.dtype)
        outputs = [x_largest, r_largest, x_there, r_there]
        if self.relu:
            slope *= tf.cast(x_there > 0, slope.dtype)
            outputs = [tf.nn.relu(value) for value in outputs]
        size = tf.maximum(tf.abs(outputs[2]), tf.abs(outputs[3]))
        near = tf.abs(outputs[2] - outputs[3]) <= tf.minimum(POOL_STEP, POOL_SHARE * size)
        quotient = (outputs[0] - outputs[1]) / tf.where(near, 1.0, x_there - r_there)
        ratio = tf.where(near, slope, quotient)
        return [_as_pairs(ratio), _as_pairs(place)]

    def backward(self, m: Tensor, saved: Sequence[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
        ratio, place = saved
        m = tf.reshape(m, [*m.shape[:2], *ratio.shape[1:]]) * ratio
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            zeros = tf.zeros([*m.shape[:2], *shapes[0]])
            tape.watch(zeros)
            windows = self._windows(zeros, 2)
        places = tf.range(windows.shape[-2], dtype=place.dtype)[:, None]
        there = place[..., None, :] == places
        m = tf.where(there, m[..., None, :], 0.0)
        return [tape.gradient(windows, zeros, output_gradients=m)]

    def _windows(self, values: Tensor, batch_axes: int) -> Tensor:
        """(batch..., positions..., channels) to (batch..., windows..., places, channels)."""
        batch, channels = values.shape[:batch_axes], values.shape[-1]
        lengths = values.shape[batch_axes:-1]
        if self.size is None:
            ones = [1] * len(lengths)
            return tf.reshape(values, [*batch, *ones, math.prod(lengths), channels])
        size, strides = self.size, self.strides or self.size
        axes = [*zip(lengths, size, strides, strict=True)]
        if self.same:
            counts = [-(-length // stride) for length, _, stride in axes]
        else:
            counts = [(length - width) // stride + 1 for length, width, stride in axes]
        ends = [
            max((count - 1) * stride + width - length, 0)
            for count, (length, width, stride) in zip(counts, axes, strict=True)
        ]
        if any(ends):
            paddings = [[n // 2, n - n // 2] for n in ends]
            none = [0, 0]
            paddings = [*[none] * batch_axes, *paddings, none]
            values = tf.pad(values, paddings, constant_values=values.dtype.min)
        if len(axes) == 1 and size == strides:
            values = values[..., : counts[0] * size[0], :]
            return tf.reshape(values, [*batch, counts[0], size[0], channels])
        places = []
        for first in product(*map(range, size)):
            stretches = [
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(first, counts, strides, strict=True)
            ]
            places.append(values[(slice(None),) * batch_axes + (*stretches,)])
        return tf.stack(places, axis=-2)


def _largest(windows: Tensor) -> Tensor:
    """Maximum of each window, (..., channels)."""
    if windows.shape[-2] > UNROLLED:
        return tf.reduce_max(windows, axis=-2)
    return reduce(tf.maximum, tf.unstack(windows, axis=-2))


def _first_largest(windows: Tensor) -> Tensor:
    """Place of the maximum of each window, the first of equal ones; (..., channels) int32."""
    if windows.shape[-2] > UNROLLED:
        return tf.argmax(windows, axis=-2, output_type=tf.int32)
    first, *others = tf.unstack(windows, axis=-2)
    largest, place = first, tf.zeros_like(first, dtype=tf.int32)
    for i, values in enumerate(others, 1):
        place = tf.where(values > largest, i, place)
        largest = tf.maximum(values, largest)
    return place


def _pick(windows: Tensor, place: Tensor) -> Tensor:
    """The value of each window at a place, (..., channels)."""
    width = windows.shape[-2]
    if width > UNROLLED:
        there = place[..., None, :] == tf.range(width)[:, None]
        return tf.reduce_sum(tf.where(there, windows, 0.0), axis=-2)
    value, *others = tf.unstack(windows, axis=-2)
    for i, values in enumerate(others, 1):
        value = tf.where(place == i, values, value)
    return value


def _same(x_windows: Tensor, r_windows: Tensor) -> Tensor:
    """Whether windows hold the same values at all places, (..., channels)."""
    same = x_windows == r_windows
    if same.shape[-2] > UNROLLED:
        return tf.reduce_all(same, axis=-2)
    return reduce(tf.logical_and, tf.unstack(same, axis=-2))


class Product(Nonlinear):
    """A product of two tensors, such as a gate: the share of each factor is its Shapley value,

    x₁x₂ − r₁r₂ = (x₁ − r₁)(x₂ + r₂)/2 + (x₂ − r₂)(x₁ + r₁)/2.
    """

    def forward(self, *inputs: Tensor) -> Tensor:
        first, second = _of_equal_rank(inputs, 1)
        return first * second

    def save(self, x: Sequence[Tensor], r: Sequence[Tensor]) -> list[Tensor]:
        means = [
            (x_i + r_i) / 2
            for x_i, r_i in zip(_of_equal_rank(x, 2), _of_equal_rank(r, 2), strict=True)
        ]
        return [_as_pairs(mean) for mean in means]

    def backward(self, m: Tensor, saved: Sequence[Tensor], shapes: Sequence[Shape]) -> list[Tensor]:
        found = []
        for own, other, shape in zip(saved, reversed(saved), shapes, strict=True):
            share = m * other
            # A factor that was repeated along an axis gets the sum of what its copies get.
            repeated = [i for i, n in enumerate(own.shape) if i and n < share.shape[i + 1]]
            share = tf.reduce_sum(share, [i + 1 for i in repeated]) if repeated else share
            found.append(tf.reshape(share, [*m.shape[:1], -1, *shape]))
        return found


def _of_equal_rank(values: Sequence[Tensor], batch_axes: int) -> list[Tensor]:
    """Factors lined up at their last axes, as in Keras's merging layers."""
    rank = max(len(value.shape) for value in values)
    return [
        tf.reshape(
            value,
            [
                *value.shape[:batch_axes],
                *[1] * (rank - len(value.shape)),
                *value.shape[batch_axes:],
            ],
        )
        for value in values
    ]


def _as_pairs(value: Tensor) -> Tensor:
    """(S, K, ...) to (P, ...)."""
    return tf.reshape(value, [math.prod(value.shape[:2]), *value.shape[2:]])
