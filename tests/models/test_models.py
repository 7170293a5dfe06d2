"""Architectures: the registry, one's own, and what would not open elsewhere."""

import json
import re

import keras
import numpy as np
import pytest
from conftest import random_one_hot, run_python
from keras import layers

from degu.errors import InputError
from degu.models.registry import REGISTRY, architecture, build
from degu.models.safety import check_portable

LENGTH = 16


@pytest.mark.parametrize("name", REGISTRY)
def test_every_name_of_the_registry_builds_a_portable_model(name):
    model = build(name, (40, 4), 3)
    assert model.input_shape == (None, 40, 4)
    assert model.output_shape == (None, 3)
    assert not model.compiled
    # Its name in file names.
    assert model.name == REGISTRY[name]
    assert re.fullmatch(r"[A-Za-z0-9-]+", REGISTRY[name])
    check_portable(model)


# DeepSTARR


def test_deepstarr_has_the_layers_of_the_paper():
    """Shapes and counts worked out by hand for 249 bases and two targets."""
    model = build("deepstarr", (249, 4), 2)
    kernels = [w.shape for w in model.get_weights() if w.ndim > 1]
    assert kernels == [
        (7, 4, 256),
        (3, 256, 60),
        (5, 60, 60),
        (3, 60, 120),
        (15 * 120, 256),  # 249 halved four times, rounded down
        (256, 256),
        (256, 2),
    ]
    pooled = [x.output.shape[1:] for x in model.layers if isinstance(x, layers.MaxPooling1D)]
    assert pooled == [(124, 256), (62, 60), (31, 60), (15, 120)]
    assert [x.rate for x in model.layers if isinstance(x, layers.Dropout)] == [0.4, 0.4]

    convolutions = (7 * 4 + 1) * 256 + (3 * 256 + 1) * 60 + (5 * 60 + 1) * 60 + (3 * 60 + 1) * 120
    dense = (1800 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 2
    normalized = 256 + 60 + 60 + 120 + 256 + 256  # each with scale, shift, mean and variance
    assert convolutions + dense + 4 * normalized == 624_738
    assert model.count_params() == 624_738
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 624_738 - 2 * normalized
    # A student has a column more for each target.
    assert build("deepstarr", (249, 4), 4).count_params() == 624_738 + (256 + 1) * 2


def test_deepstarr_computes_what_its_description_says():
    """A twin in NumPy, with random weights and statistics of batch norm."""
    model = build("deepstarr", (37, 4), 2)
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.2, w.shape).astype(np.float32) for w in model.get_weights()]
    rest = iter(weights)

    def normalize(x):
        scale, shift, mean, variance = (next(rest) for _ in range(4))
        variance[:] = np.abs(variance) + 0.5
        return (x - mean) / np.sqrt(variance + 1e-3) * scale + shift

    x = random_one_hot(5, 37)
    twin = x.astype(np.float64)
    for _ in range(4):
        kernel, bias = next(rest), next(rest)
        half = len(kernel) // 2
        padded = np.pad(twin, ((0, 0), (half, half), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=1)
        twin = np.maximum(normalize(np.einsum("nlck,kco->nlo", windows, kernel) + bias), 0)
        even = twin[:, : twin.shape[1] // 2 * 2]
        twin = np.maximum(even[:, ::2], even[:, 1::2])
    twin = twin.reshape(5, -1)
    for _ in range(2):
        kernel, bias = next(rest), next(rest)
        twin = np.maximum(normalize(twin @ kernel + bias), 0)
    kernel, bias = next(rest), next(rest)
    twin = twin @ kernel + bias
    assert next(rest, None) is None

    model.set_weights(weights)
    np.testing.assert_allclose(model(x.astype(np.float32)).numpy(), twin, rtol=1e-3, atol=1e-4)


def test_deepstarr_on_sequences_that_are_too_short():
    assert build("deepstarr", (16, 4), 1).output_shape == (None, 1)
    with pytest.raises(InputError, match="needs 16 bases or more, not 15"):
        build("deepstarr", (15, 4), 1)


# Compact


@pytest.mark.parametrize(("length", "positions"), [(100, 6), (249, 15)])
def test_compact_has_the_layers_of_its_description(length, positions):
    """Shapes and counts worked out by hand."""
    model = build("compact", (length, 4), 2)
    kernels = [w.shape for w in model.get_weights() if w.ndim > 1]
    assert kernels == [(11, 4, 48), (5, 48, 48), (positions * 48, 64), (64, 2)]
    assert [x.rate for x in model.layers if isinstance(x, layers.Dropout)] == [0.4]

    convolutions = (11 * 4 + 1) * 48 + (5 * 48 + 1) * 48
    dense = (positions * 48 + 1) * 64 + (64 + 1) * 2
    normalized = 48 + 48 + 64  # each with scale, shift, mean and variance
    assert model.count_params() == convolutions + dense + 4 * normalized
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trained == convolutions + dense + 2 * normalized
    # A student has a column more for each target.
    assert build("compact", (length, 4), 4).count_params() == model.count_params() + (64 + 1) * 2


def test_compact_on_sequences_that_are_too_short():
    assert build("compact", (16, 4), 1).output_shape == (None, 1)
    with pytest.raises(InputError, match="needs 16 bases or more, not 15"):
        build("compact", (15, 4), 1)


# An architecture of one's own


OWN = """
import keras

calls = []
number = 3

def build(input_shape, output_dim):
    calls.append((input_shape, output_dim))
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(output_dim)(keras.layers.Flatten()(inputs)))

def fixed(input_shape, output_dim):
    return build(input_shape, 7)

def short(input_shape, output_dim):
    return build((3, 4), output_dim)

def no_model(input_shape, output_dim):
    return keras.layers.Dense(output_dim)

def unbuilt(input_shape, output_dim):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(output_dim)])

def two_outputs(input_shape, output_dim):
    model = build(input_shape, output_dim)
    return keras.Model(model.inputs, [model.outputs[0], model.outputs[0]])

def named_output(input_shape, output_dim):
    model = build(input_shape, output_dim)
    return keras.Model(model.inputs, {"activity": model.outputs[0]})
"""


def test_a_function_of_ones_own_gets_shape_and_output_dimension(own_module):
    module = own_module("package_a", OWN)
    model = build(f"{module}:build", [20, 4], 2)
    assert model.output_shape == (None, 2)
    assert architecture(f"{module}:build").__globals__["calls"] == [((20, 4), 2)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deepstar", "'deepstar' is not one of compact, deepstarr"),
        ("{module}", "name one of these, or your own function as my_package.my_module:build"),
        (":build", "':build' is not one of"),
        (".{module}:build", "is not one of"),
        ("{module}:", "is not one of"),
        ("package_that_is_absent.my_module:build", "cannot be imported .*package_that_is_absent"),
        ("{module}:bild", "has no function 'bild'"),
        ("{module}:number", "has no function 'number'"),
        ("{module}:no_model", "returned a Dense, not a Keras model"),
        ("{module}:fixed", r"to \(None, 7\), where .* to \(None, 2\) is needed"),
        ("{module}:short", r"from \(None, 3, 4\) .*where \(None, 20, 4\)"),
        ("{module}:unbuilt", "from None to None"),
        ("{module}:two_outputs", r"to \[\(None, 2\), \(None, 2\)\]"),
        ("{module}:named_output", "named outputs; return one tensor of 2 columns"),
    ],
)
def test_an_architecture_that_cannot_be_used_is_one_clear_sentence(own_module, name, words):
    name = name.format(module=own_module("package_b", OWN))
    with pytest.raises(InputError, match=words) as error:
        build(name, (20, 4), 2)
    assert str(error.value).startswith("model: ")
    assert "\n" not in str(error.value)


def test_a_package_that_ones_own_module_lacks_is_named(own_module):
    module = own_module("package_c", "import a_package_that_is_absent")
    with pytest.raises(InputError, match=r"package_c.* cannot be imported .*a_package_that"):
        build(f"{module}:build", (20, 4), 2)


# Files that open elsewhere


def square(x):
    return x * x


class Renamed(layers.Dense):
    pass


@keras.saving.register_keras_serializable("test_models")
class Registered(layers.Dense):
    pass


class WithoutConfig(layers.Layer):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


class Initializer(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(layers.Flatten()(x))


class FunctionalSubclass(keras.Model):
    def __init__(self):
        inputs = keras.Input((LENGTH, 4))
        super().__init__(inputs, layers.Dense(1)(layers.Flatten()(inputs)))


class SequentialSubclass(keras.Sequential):
    pass


def around(*parts):
    """A functional model with these layers, or functions of a tensor, within."""
    inputs = x = keras.Input((LENGTH, 4))
    for part in parts:
        x = part(x)
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))


def in_sequence(*parts):
    return keras.Sequential([keras.Input((LENGTH, 4)), *parts, layers.Flatten(), layers.Dense(1)])


PORTABLE = {
    "sequential": lambda: in_sequence(layers.Conv1D(2, 3)),
    "nested": lambda: around(in_sequence(layers.Conv1D(2, 3)), layers.Dense(2)),
    "options": lambda: around(
        layers.Dense(
            3,
            activation=keras.activations.silu,
            kernel_initializer=keras.initializers.HeNormal(seed=1),
            kernel_regularizer="l2",
            kernel_constraint=keras.constraints.MaxNorm(2),
        )
    ),
    "layer as activation": lambda: around(layers.Dense(3, activation=layers.LeakyReLU())),
    "residual": lambda: around(lambda x: layers.Add()([x, layers.Dense(4)(x)])),
    "wrapped": lambda: around(layers.Bidirectional(layers.LSTM(2, return_sequences=True))),
    "attention": lambda: around(lambda x: layers.MultiHeadAttention(2, 2)(x, x)),
}
FOREIGN = {
    "Lambda layer": (lambda: around(layers.Lambda(square)), "Lambda"),
    "lambda as activation": (lambda: around(layers.Dense(3, activation=lambda x: x)), "a lambda"),
    "lambda as initializer": (
        lambda: around(layers.Dense(3, kernel_initializer=lambda s, dtype: keras.ops.ones(s))),
        "a lambda",
    ),
    "function as activation": (lambda: around(layers.Dense(3, activation=square)), "square"),
    "function in a layer": (lambda: around(layers.Activation(square)), "square"),
    "custom layer": (lambda: around(Renamed(3)), "Renamed"),
    "registered layer": (lambda: around(Registered(3)), "Registered"),
    "custom initializer": (
        lambda: around(layers.Dense(3, kernel_initializer=Initializer())),
        "Initializer",
    ),
    "layer without a config": (lambda: around(WithoutConfig(layers.Dense(2))), "no get_config"),
    "in a nested model": (lambda: around(in_sequence(Renamed(3)), layers.Dense(2)), "Renamed"),
    "in a wrapper": (lambda: around(layers.TimeDistributed(Renamed(3))), "Renamed"),
    "operation": (lambda: around(lambda x: x + layers.Dense(4)(x)), "Add .*keras.layers.Add"),
    "subclassed": (Subclassed, "Subclassed is a subclassed model"),
    "subclassed within": (lambda: around(Subclassed()), "Subclassed"),
    "subclass of functional": (FunctionalSubclass, "FunctionalSubclass is a subclassed model"),
    "subclass within": (lambda: around(FunctionalSubclass()), "FunctionalSubclass"),
    "subclass of sequential": (
        lambda: SequentialSubclass([keras.Input((LENGTH, 4)), layers.Flatten(), layers.Dense(1)]),
        "SequentialSubclass is a subclassed model",
    ),
}

OPEN_ALL = """
import json, pathlib, sys
import keras
import numpy as np

opened = {}
for path in pathlib.Path(sys.argv[1]).glob("*.h5"):
    try:
        model = keras.models.load_model(path)
        x = np.load(sys.argv[2])
        opened[path.stem] = model(x).numpy().tolist()
    except Exception as error:
        opened[path.stem] = None
print(json.dumps(opened))
"""


@pytest.fixture(scope="module")
def opened_elsewhere(tmp_path_factory):
    """Outputs of each model that an interpreter without this module could open, else None."""
    folder = tmp_path_factory.mktemp("models")
    x = random_one_hot(3, LENGTH).astype(np.float32)
    np.save(folder / "x.npy", x)
    outputs = {}
    for name, build_model in (PORTABLE | {k: v[0] for k, v in FOREIGN.items()}).items():
        model = build_model()
        outputs[name] = model(x).numpy()
        try:
            model.save(folder / f"{name}.h5", include_optimizer=False)
        except NotImplementedError:
            (folder / f"{name}.h5").write_bytes(b"not even saved")
    process = run_python(OPEN_ALL, folder, folder / "x.npy", cwd=folder)
    assert process.returncode == 0, process.stderr
    return outputs, json.loads(process.stdout)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("name", PORTABLE)
def test_built_in_layers_are_accepted_and_open_elsewhere(name, opened_elsewhere):
    check_portable(PORTABLE[name]())
    here, elsewhere = (results[name] for results in opened_elsewhere)
    np.testing.assert_allclose(elsewhere, here, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("name", FOREIGN)
def test_what_would_not_open_elsewhere_is_refused_by_name(name, opened_elsewhere):
    build_model, words = FOREIGN[name]
    with pytest.raises(InputError, match=words) as error:
        check_portable(build_model())
    assert str(error.value).startswith("model: ")
    assert opened_elsewhere[1][name] is None
