"""A Keras model as a list of operations that DeepLIFT has rules for, or a refusal."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import activations, layers
from keras.src.models.functional import Functional

from degu.attribution.rules import (
    Affine,
    Elementwise,
    Linear,
    MaxPooling,
    NarrowConvolution,
    Nonlinear,
    Product,
    ReLU,
    Rule,
)
from degu.errors import InputError

# Of exactly these classes: what a subclass does, only its author knows.

IDENTITIES = (  # when predicting
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)

LINEAR = (  # with their ``activation``, if they have one, taken out
    layers.Add,
    layers.Average,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Conv1D,
    layers.Conv1DTranspose,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Conv3D,
    layers.Conv3DTranspose,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.Dense,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.EinsumDense,
    layers.Flatten,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.Normalization,
    layers.Permute,
    layers.RepeatVector,
    layers.Rescaling,
    layers.Reshape,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.Subtract,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
)

MAX_POOLING = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)

GLOBAL_MAX_POOLING = (
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
)

NARROW = 8
"""Channels up to which :class:`NarrowConvolution` is the faster one."""

# Where each function or one of its first two derivatives jumps; see rules.Elementwise.
KINKS: dict[Callable[..., Any], tuple[float, ...]] = {
    activations.celu: (0,),
    activations.elu: (0,),
    activations.exponential: (),
    activations.gelu: (),
    activations.hard_sigmoid: (-3, 3),
    activations.hard_silu: (-3, 3),
    activations.hard_tanh: (-1, 1),
    activations.leaky_relu: (0,),
    activations.log_sigmoid: (),
    activations.mish: (),
    activations.relu6: (0, 6),
    activations.selu: (0,),
    activations.sigmoid: (),
    activations.silu: (),
    activations.soft_shrink: (-0.5, 0.5),
    activations.softplus: (),
    activations.softsign: (0,),
    activations.sparse_plus: (-1, 1),
    activations.sparse_sigmoid: (-1, 1),
    activations.squareplus: (),
    activations.tanh: (),
    activations.tanh_shrink: (),
}


@dataclass
class Step:
    """One operation: which values it takes and which it makes, by number."""

    rule: Rule
    inputs: list[int]
    output: int


@dataclass
class Program:
    """A model's operations in an order in which they can be computed; value 0 is its input."""

    steps: list[Step]
    output: int


def program(model: keras.Model) -> Program:
    """Find the operations of a model and the rule of each.

    Args:
        model: functional or Sequential, with one input and one output; models may be nested and
            layers shared.

    Raises:
        InputError: for an operation without a rule; names the layer and the remedy.
    """
    reader = _Reader()
    output = reader.read(model, [0])[0]
    steps = _needed(reader.steps, output)
    for merge in (_relu_into_pooling, _affine_into_nonlinear):
        steps = _merged(steps, output, merge)
    return Program(steps, output)


def _needed(steps: Sequence[Step], output: int) -> list[Step]:
    """Steps that the output depends on; an inner model may have outputs that nobody takes."""
    values, kept = {output}, []
    for step in reversed(steps):
        if step.output in values:
            values.update(step.inputs)
            kept.append(step)
    return kept[::-1]


class _Reader:
    """Walks through a model and those within it."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.values = 1

    def read(self, model: keras.Model, inputs: Sequence[int]) -> list[int]:
        """Add the steps of a model; numbers of its outputs from those of its inputs."""
        graph = model._functional if type(model) is keras.Sequential else model
        if type(graph) is not Functional:
            raise _refusal(model, "build it with the functional API or as Sequential")
        if any(tensor.dtype != "float32" for tensor in graph.inputs):
            raise _refusal(
                model, "give it an input of float32", f" with an input of {graph.inputs[0].dtype}"
            )
        number = {id(tensor): i for tensor, i in zip(graph.inputs, inputs, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                made = self._call(node, [number[id(tensor)] for tensor in node.input_tensors])
                number |= {id(t): i for t, i in zip(node.outputs, made, strict=True)}
        return [number[id(tensor)] for tensor in graph.outputs]

    def _call(self, node: Any, inputs: list[int]) -> list[int]:
        layer = node.operation
        if not isinstance(layer, layers.Layer):
            raise _refusal(layer, "use a layer in its place, such as keras.layers.Add for x + y")
        if isinstance(layer, keras.Model):
            _check_call(node)
            return self.read(layer, inputs)
        _check_dtype(layer)
        shapes = [tuple(tensor.shape) for tensor in node.input_tensors]
        rules = [] if type(layer) in IDENTITIES else _rules(layer, shapes)
        _check_call(node)
        for rule in rules:
            self.steps.append(Step(rule, inputs, self.values))
            inputs = [self.values]
            self.values += 1
        return inputs


def _refusal(layer: Any, remedy: str, what: str = "") -> InputError:
    kind = "layer" if isinstance(layer, layers.Layer) else "operation"
    return InputError(
        f'DeepSHAP: {kind} "{layer.name}" ({type(layer).__name__}){what} is not covered by the '
        f"rescale rule; {remedy}, or use saliency or mutagenesis (in a config, saliency and ism), "
        "which need no rule."
    )


def _check_call(node: Any) -> None:
    """Refuse a layer that was called with more than its inputs, such as ``training=True``."""
    args, kwargs = node.arguments.args, node.arguments.kwargs
    given = [
        name
        for name, value in kwargs.items()
        if any(leaf is not None and leaf is not False for leaf in keras.tree.flatten(value))
    ]
    if given or len(args) != 1 or len(keras.tree.flatten(args)) != len(node.input_tensors):
        raise _refusal(
            node.operation,
            "call it with its input tensors alone",
            f", called with {', '.join(given) or 'more than its inputs'},",
        )


def _check_dtype(layer: Any) -> None:
    kinds = {layer.compute_dtype, layer.variable_dtype}
    if kinds != {"float32"} or getattr(layer, "quantization_mode", None):
        raise _refusal(
            layer,
            "build the model in float32 and load its weights",
            f" in {layer.dtype_policy.name}",
        )


def _rules(layer: Any, shapes: list[tuple[int | None, ...]]) -> list[Rule]:
    """What a layer does, one operation after another; none for the identity."""
    kind = type(layer)
    if kind is layers.Activation:
        return _activation(layer, layer.activation)
    if kind in LINEAR:
        activation = getattr(layer, "activation", None)
        return [*_linear(layer), *([] if activation is None else _activation(layer, activation))]
    if kind is layers.ReLU:
        if layer.max_value is None and not layer.negative_slope and not layer.threshold:
            return [ReLU()]
        limits = [layer.threshold, *([] if layer.max_value is None else [layer.max_value])]
        return [Elementwise(layer.call, limits)]
    if kind in (layers.LeakyReLU, layers.ELU, layers.PReLU):
        return [Elementwise(layer.call, (0,))]
    if kind in MAX_POOLING and layer.data_format == "channels_last":
        return [MaxPooling(layer.pool_size, layer.strides, layer.padding == "same")]
    if kind in GLOBAL_MAX_POOLING and layer.data_format == "channels_last":
        return [MaxPooling(keepdims=layer.keepdims)]
    if kind is layers.Multiply:
        if len(shapes) != 2:
            raise _refusal(layer, "multiply two tensors at a time")
        return [Product()]
    raise _refusal(layer, "replace it by layers that are")


def _activation(layer: Any, function: Callable[..., Any]) -> list[Rule]:
    if function is activations.linear:
        return []
    if function is activations.relu:
        return [ReLU()]
    if function in KINKS:
        return [Elementwise(function, KINKS[function])]
    name = getattr(function, "__name__", repr(function))
    raise _refusal(
        layer, "use one of Keras's own elementwise activations", f" with activation {name}"
    )


def _linear(layer: Any) -> list[Linear]:
    """A layer without its activation."""
    if isinstance(layer, layers.BatchNormalization):
        if layer.axis in (-1, layer.input_spec.ndim - 1) and not layer.renorm:
            return [_batch_norm(layer)]
        return [Linear(lambda z: layer.call(z, training=False))]
    if isinstance(layer, layers.Concatenate) and layer.axis == 0:
        raise _refusal(layer, "join along another axis than the batch", " along axis 0")
    if isinstance(layer, layers.Add | layers.Average | layers.Concatenate | layers.Subtract):
        return [Linear(lambda *inputs: layer.call(list(inputs)))]
    # The same weights without the activation. (copy.copy would write the layer out and read it in.)
    bare = object.__new__(type(layer))
    bare.__dict__.update(layer.__dict__)
    if hasattr(layer, "activation"):
        bare.__dict__["activation"] = activations.linear
    kernels = layers.Conv1D | layers.Conv2D | layers.Conv3D | layers.Dense
    if not isinstance(layer, kernels) or getattr(layer, "data_format", None) == "channels_first":
        return [Linear(bare.call)]
    bare.__dict__.update(use_bias=False, bias=None)
    rule = _narrow_convolution(layer, bare.call) or Linear(bare.call)
    return [rule, Affine(None, tf.convert_to_tensor(layer.bias))] if layer.use_bias else [rule]


def _narrow_convolution(layer: Any, function: Callable[..., Any]) -> Linear | None:
    if not isinstance(layer, layers.Conv1D) or layer.groups > 1:
        return None
    kernel = tf.convert_to_tensor(layer.kernel)
    width, channels, _ = kernel.shape
    if channels > NARROW or (*layer.strides, *layer.dilation_rate) != (1, 1):
        return None
    before = {"valid": 0, "same": (width - 1) // 2, "causal": width - 1}[layer.padding]
    return NarrowConvolution(function, kernel, before)


def _batch_norm(layer: Any) -> Affine:
    factor = tf.math.rsqrt(tf.convert_to_tensor(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        factor *= layer.gamma
    shift = -layer.moving_mean * factor
    return Affine(factor, shift + layer.beta if layer.center else shift)


def _relu_into_pooling(first: Rule, second: Rule) -> Rule | None:
    if type(first) is ReLU and isinstance(second, MaxPooling):
        return second.with_relu()
    return None


def _affine_into_nonlinear(first: Rule, second: Rule) -> Rule | None:
    if isinstance(first, Affine) and isinstance(second, Nonlinear):
        merged = copy.copy(second)
        merged.before = (first, *second.before)
        return merged
    return None


def _merged(
    steps: Sequence[Step], output: int, merge: Callable[[Rule, Rule], Rule | None]
) -> list[Step]:
    """Make one of an operation and the only one that takes its result, where ``merge`` can."""
    uses = Counter([output, *(i for step in steps for i in step.inputs)])
    merged: dict[int, Step] = {}  # by the value that they make
    for step in steps:
        while len(step.inputs) == 1 and uses[step.inputs[0]] == 1 and step.inputs[0] in merged:
            first = merged[step.inputs[0]]
            rule = merge(first.rule, step.rule)
            if rule is None:
                break
            del merged[first.output]
            step = Step(rule, first.inputs, step.output)
        merged[step.output] = step
    return list(merged.values())
