"""Rules hold what DeepLIFT promises, on numbers that are chosen to be hard."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import twin
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from keras import layers

from degu.attribution import graph, rules

EPS = np.finfo(np.float32).eps
# Activations without parameters, and layers with some, as their own functions.
FUNCTIONS = {
    **{function.__name__: (function, kinks) for function, kinks in graph.KINKS.items()},
    "relu with limits": (layers.ReLU(max_value=2, negative_slope=0.25).call, (0, 2)),
    "relu with threshold": (layers.ReLU(threshold=1.5).call, (1.5,)),
}
# float64, for what NumPy can say by itself.
EXACT = {name: twin.FUNCTIONS[name] for name in twin.FUNCTIONS if name in FUNCTIONS}
values = st.floats(-6, 6, width=32) | st.sampled_from([-3, -1, -0.5, 0, 1e-40, 0.5, 1.5, 2, 3, 6])
steps = st.sampled_from(
    [0, 1e-40, 1e-9, 1e-7, 1e-6, 1e-4, 9e-3, 1.1e-2, 0.3, 2, -1e-7, -1e-4, -0.5]
)


def pairs(*shape, seed=0):
    """Values of x (2, 1, ...) and r (2, 3, ...); some are equal and some all but equal."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 1, *shape)).astype(np.float32)
    r = rng.normal(size=(2, 3, *shape)).astype(np.float32)
    chosen = rng.random(r.shape)
    r = np.where(chosen < 0.2, x, np.where(chosen < 0.4, x + np.float32(1e-7), r))
    return x, r


def multipliers(rule, x, r, heads=2):
    """Of the inputs (lists of x and r), with what comes from above: (H, S, K, ...) each."""
    x, r = [tf.constant(v) for v in x], [tf.constant(v) for v in r]
    _, output, saved = rule.compiled.meet_own(x, r)
    above = np.random.default_rng(1).normal(size=(heads, *output.shape)).astype(np.float32)
    found = rule.compiled.backward(tf.constant(above), saved, [tuple(v.shape[2:]) for v in x])
    split = (heads, *r[0].shape[:2])
    below = [m.numpy().reshape(*split, *m.shape[2:]) for m in found]
    return above.reshape(*split, *above.shape[2:]), below


def outputs(rule, inputs):
    """(S, K, ...) of inputs (S, K, ...)."""
    found = rule.compiled.forward([tf.constant(v.reshape(-1, *v.shape[2:])) for v in inputs])
    return found.numpy().reshape(*inputs[0].shape[:2], *found.shape[1:])


def assert_additive(rule, x, r):
    above, below = multipliers(rule, x, r)
    change = outputs(rule, x) - outputs(rule, r)
    expected = (above * change).reshape(*above.shape[:3], -1).sum(axis=-1)
    found = sum(
        (m * (x_i - r_i)).reshape(*above.shape[:3], -1).sum(axis=-1)
        for m, x_i, r_i in zip(below, x, r, strict=True)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_activation_is_additive_for_any_two_values(name):
    rule = rules.Elementwise(*FUNCTIONS[name])
    meet = rule.compiled.meet  # compiled once for all examples

    @given(arrays(np.float32, 40, elements=values), arrays(np.float32, 40, elements=steps))
    @settings(max_examples=20)
    def check(x, step):
        r = x + step
        _, [ratio] = meet([tf.constant(x[None, None])], [tf.constant(r[None, None])])
        ratio = ratio.numpy()[0]
        f_x, f_r = rule.forward(tf.constant(x)).numpy(), rule.forward(tf.constant(r)).numpy()
        rounding = 4 * EPS * (1 + np.maximum(np.abs(f_x), np.abs(f_r)))
        assert (np.abs(ratio * (x - r) - (f_x - f_r)) <= rounding).all()

    check()


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("step", [1e-7, 1e-5, 1e-3, 9.9e-3, 1.01e-2, 0.1, 1])
def test_a_ratio_is_accurate_however_near_the_two_values_are(name, step):
    # Neither of them at 0, where some functions have a kink.
    x = np.concatenate([np.linspace(-4, -0.03, 200), np.linspace(0.03, 4, 200)]).astype(np.float32)
    r = (x + np.sign(x) * step).astype(np.float32)
    rule = rules.Elementwise(*FUNCTIONS[name])
    found = rule.save([tf.constant(x[None, None])], [tf.constant(r[None, None])])[0].numpy()[0]
    x, r = x.astype(float), r.astype(float)
    # With float64 the quotient is good to 1e-16 / step, and its limit the derivative.
    function = EXACT[name]
    apart = x != r
    wanted = (function(x) - function(r))[apart] / (x - r)[apart]
    scale = np.maximum(np.abs(function(x[apart])), 1)
    assert (np.abs(found[apart] - wanted) <= 4e-5 * scale).all()


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [
        ("exponential", 0, 1),
        ("sigmoid", 0, 1 / 4),
        ("silu", 0, 1 / 2),
        ("softplus", 0, 1 / 2),
        ("tanh", 0, 1),
        ("gelu", 0, 1 / 2),
        ("softsign", 1, 1 / 4),
        ("leaky_relu", -1, 0.2),
        ("relu6", 7, 0),
        ("elu", -1, np.exp(-1)),
    ],
)
def test_where_both_values_are_equal_the_ratio_is_the_derivative(name, value, slope):
    same = tf.fill([1, 1, 1], float(value))
    found = rules.Elementwise(*FUNCTIONS[name]).save([same], [same])[0]
    np.testing.assert_allclose(found, slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "kink", "ratio"), [("leaky_relu", 0, 0.6), ("relu6", 6, 0.5), ("hard_tanh", -1, 0.5)]
)
def test_on_two_sides_of_a_kink_the_quotient_holds_however_near(name, kink, ratio):
    x, r = (tf.fill([1, 1, 1], kink + side) for side in (-1e-3, 1e-3))
    found = rules.Elementwise(*FUNCTIONS[name]).save([x], [r])[0]
    np.testing.assert_allclose(found, ratio, rtol=1e-3)


def test_relu_is_exact():
    x = np.float32([3, 3, -1, -1, 1e-9, 2, 0, 5, 0, -2])
    r = np.float32([1, -1, -2, 4, -1e-9, 2, 0, 5 + 5e-7, -1, -2])
    found = rules.ReLU().save([tf.constant(x[None, None])], [tf.constant(r[None, None])])[0]
    np.testing.assert_array_equal(found[0], np.float32([1, 0.75, 0, 0.8, 0.5, 1, 0, 1, 0, 0]))


def test_parametric_relu_has_a_slope_for_each_unit():
    layer = layers.PReLU()
    layer.build((None, 5, 3))
    layer.alpha.assign(np.arange(15).reshape(5, 3) / 10)
    [rule] = graph._rules(layer, [(None, 5, 3)])
    assert_additive(rule, *([v] for v in pairs(5, 3)))
    negative = -tf.ones([1, 1, 5, 3])
    np.testing.assert_allclose(rule.save([negative], [2 * negative])[0][0], layer.alpha, rtol=1e-6)


POOLINGS = {
    "pairs": ((2,), (2,), False),
    "threes, with a rest": ((3,), (3,), False),
    "over the ends": ((3,), (3,), True),
    "overlapping": ((4,), (1,), False),
    "overlapping over the ends": ((3,), (2,), True),
    "with gaps": ((2,), (5,), False),
    "single positions": ((1,), (1,), False),
    "long windows": ((20,), (20,), False),
}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", POOLINGS)
def test_max_pooling_equals_a_loop_over_windows(name, relu):
    size, strides, same = POOLINGS[name]
    rule = rules.MaxPooling(size, strides, same, relu=relu)
    slow = twin.Maximum(lambda z: twin.windows(len(z), size[0], strides[0], same))
    # Whole numbers, so that windows hold their maximum more than once.
    rng = np.random.default_rng(2)
    x = rng.integers(-3, 4, (2, 1, 41, 3)).astype(np.float32)
    r = rng.integers(-3, 4, (2, 3, 41, 3)).astype(np.float32)
    above, [below] = multipliers(rule, [x], [r])
    activation = twin.Elementwise(twin.FUNCTIONS["relu"])
    for s in range(2):
        for k in range(3):
            pair = x[s, 0].astype(float), r[s, k].astype(float)
            last = [tuple(map(activation, pair))] if relu else [pair]
            found = slow.back(above[:, s, k], last)[0]
            found = activation.back(found, [pair])[0] if relu else found
            np.testing.assert_allclose(
                below[:, s, k] * (x[s, 0] - r[s, k]), found * (x[s, 0] - r[s, k]), rtol=1e-5
            )
    assert_additive(rule, [x], [r])


@pytest.mark.parametrize("shape", [(17, 3), (4, 5, 2), (40, 3)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_max_pooling_is_additive_and_names_one_position(shape, keepdims):
    rule = rules.MaxPooling(keepdims=keepdims)
    x, r = pairs(*shape)
    r += 1
    assert_additive(rule, [x], [r])
    _, [below] = multipliers(rule, [x], [r])
    assert ((below != 0).reshape(2, 2, 3, -1, shape[-1]).sum(axis=3) == 1).all()
    assert (
        outputs(rule, [x]).shape[2:] == ((1,) * (len(shape) - 1) if keepdims else ()) + shape[-1:]
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_max_pooling_of_images_is_additive(padding):
    layer = layers.MaxPooling2D((2, 3), (2, 2), padding=padding)
    [rule] = graph._rules(layer, [(None, 7, 8, 3)])
    x, r = pairs(7, 8, 3)
    np.testing.assert_array_equal(
        outputs(rule, [r]), layer(r.reshape(-1, 7, 8, 3)).numpy().reshape(outputs(rule, [r]).shape)
    )
    assert_additive(rule, [x], [r])


@pytest.mark.parametrize("relu", [False, True])
def test_equal_windows_hand_multipliers_back_as_a_gradient_does(relu):
    x = np.random.default_rng(3).normal(size=(1, 1, 12, 4)).astype(np.float32)
    rule = rules.MaxPooling((3,), relu=relu)
    above, [below] = multipliers(rule, [x], [x])
    z = tf.Variable(x[0])
    for head in range(2):
        with tf.GradientTape() as tape:
            pooled = tf.nn.max_pool1d(tf.nn.relu(z) if relu else z, 3, 3, "VALID")
        gradient = tape.gradient(pooled, z, output_gradients=above[head, 0])
        np.testing.assert_allclose(below[head, 0], gradient, rtol=1e-6)


def test_windows_that_have_their_maximum_alone_in_common_hand_nothing_back():
    """As in shap: by the rest of such a window, the output might change and might not."""
    for window in ([0.5, 0.1], [0.5 + 6e-8, 0.2]), ([0.5, 0.1], [0.5, 0.2]):
        x, r = (np.float32(values).reshape(1, 1, 2, 1) for values in window)
        _, [below] = multipliers(rules.MaxPooling((2,)), [x], [r])
        assert not below.any()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("scale", [1e-4, 1e-8, 1e-12, 1e-30])
def test_max_pooling_is_additive_at_any_scale(scale, relu):
    """The multipliers of scaled values are the same, as the rule has no unit."""
    x, r = pairs(12, 3, seed=4)
    rule = rules.MaxPooling((3,), relu=relu)
    _, [wanted] = multipliers(rule, [x], [r])
    _, [found] = multipliers(rule, [x * np.float32(scale)], [r * np.float32(scale)])
    # But for those of x and r all but equal, within rounding.
    apart = np.abs(x - r) > 1e-4
    np.testing.assert_allclose(found[:, apart], wanted[:, apart], rtol=1e-4)


def test_the_shares_of_a_product_are_the_mean_over_both_orders():
    x, r = zip(pairs(5, 3), pairs(5, 3, seed=1), strict=True)
    above, shares = multipliers(rules.Product(), x, r)
    (x1, x2), (r1, r2) = x, r
    first = ((x1 * r2 - r1 * r2) + (x1 * x2 - r1 * x2)) / 2
    second = ((r1 * x2 - r1 * r2) + (x1 * x2 - x1 * r2)) / 2
    np.testing.assert_allclose(shares[0] * (x1 - r1), above * first, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(shares[1] * (x2 - r2), above * second, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gate", [(1, 3), (3,), (5, 1), (5, 3), (1,)])
def test_a_gate_is_additive_whatever_it_is_repeated_along(gate):
    x, r = zip(pairs(5, 3), pairs(*gate, seed=1), strict=True)
    assert_additive(rules.Product(), x, r)
    assert_additive(rules.Product(), x[::-1], r[::-1])


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("width", [1, 2, 7, 8])
def test_a_narrow_convolution_goes_back_as_its_gradient_does(padding, width):
    layer = layers.Conv1D(6, width, padding=padding)
    layer.build((None, 23, 4))
    rule = graph._linear(layer)[0]
    assert isinstance(rule, rules.NarrowConvolution)
    z = tf.zeros([3, 23, 4])
    with tf.GradientTape() as tape:
        tape.watch(z)
        output = layer(z)
    m = tf.random.stateless_normal([2, 3, *output.shape[1:]], seed=[1, 2])
    found = rule.backward(m, [], [(23, 4)])[0]
    for head in range(2):
        with tf.GradientTape() as tape:
            tape.watch(z)
            output = layer(z)
        wanted = tape.gradient(output, z, output_gradients=m[head])
        np.testing.assert_allclose(found[head], wanted, rtol=1e-4, atol=1e-6)


def test_the_forward_pass_behind_a_gradient_is_never_computed():
    layer = layers.Conv1D(6, 5)
    layer.build((None, 23, 12))
    [rule, _] = graph._linear(layer)
    backward = tf.function(lambda m: rule.backward(m, [], [(23, 12)]))
    made = backward.get_concrete_function(tf.TensorSpec((2, 3, 19, 6)))
    needed, waiting = set(), [output.op for output in made.graph.outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name not in needed:
            needed.add(operation.name)
            waiting += [value.op for value in operation.inputs]
    kinds = {made.graph.get_operation_by_name(name).type for name in needed}
    assert "Conv2DBackpropInput" in kinds
    assert "Conv2D" not in kinds


@given(array_shapes(min_dims=2, max_dims=3, max_side=5), st.integers(0, 100))
@settings(max_examples=10)
def test_what_is_compiled_is_rounded_as_keras_rounds(shape, seed):
    """So that the larger of two values that are all but equal is the same as in the model."""
    rng = np.random.default_rng(seed)
    norm = layers.BatchNormalization()
    norm.build((None, *shape))
    norm.set_weights([rng.uniform(0.5, 2, shape[-1]) for _ in range(4)])
    [affine] = graph._linear(norm)
    rule = graph._affine_into_nonlinear(affine, rules.ReLU())
    z = tf.constant(rng.normal(size=(6, *shape)), tf.float32)
    wanted = keras.activations.relu(norm(z, training=False))
    np.testing.assert_array_equal(rule.compiled.forward([z]), wanted)
