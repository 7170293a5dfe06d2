"""DeepSHAP against shap, against a slow twin, and against what it promises."""

import resource

import architectures
import keras
import numpy as np
import pytest
import tensorflow as tf
import twin
from architectures import LENGTH, around, small_residualbind
from conftest import random_one_hot
from keras import layers

from degu.attribution import deepshap, explain
from degu.errors import InputError


@pytest.fixture(scope="module")
def tiny():
    """A model that is traced quickly."""
    return around(layers.Activation("silu"), layers.MaxPooling1D(3))


def sequences(n, k=None, length=LENGTH, seed=0):
    """x (n, L, 4) and references, shared (k, L, 4) or of each sequence (n, k, L, 4)."""
    x = random_one_hot(n, length, seed)
    return x, random_one_hot(n * k, length, seed + 1).reshape(n, k, length, 4)


def assert_close(found, wanted, tolerance):
    """Of every map (L, 4) apart: the largest difference, relative to the largest entry."""
    largest = np.abs(wanted).max(axis=(1, 2))
    assert (largest > 0).all()
    assert (np.abs(found - wanted).max(axis=(1, 2)) <= tolerance * largest).all()


def assert_additive(found, tolerance=3e-5):
    """Every sequence and head, relative to the typical difference of predictions."""
    difference = found.prediction - found.expected
    left = found.contributions.sum(axis=(1, 2), dtype=float) - difference
    assert (np.abs(left) <= tolerance * np.sqrt(np.mean(difference**2, axis=0))).all()
    np.testing.assert_allclose(found.residual, left, atol=1e-5 * np.abs(difference).max())


def shap_values(explainer, x, references):
    """(n, L, 4, heads) of shap itself, which takes the references of one sequence at a time."""
    found = []
    for one, own in zip(x.astype(np.float32), references.astype(np.float32), strict=True):
        explainer.explainer.data = [own]
        found.append(explainer.shap_values(one[None], check_additivity=False)[0])
    return np.stack(found)


SHAP_MODELS = {
    "Compact": architectures.compact,
    "DeepSTARR": architectures.deepstarr,
    "ResidualBind with average pooling": lambda: small_residualbind(
        activation="relu", dilations=(1, 1)
    ),
    "ResidualBind with max pooling": lambda: small_residualbind(
        activation="relu", dilations=(1, 1), pool=layers.MaxPooling1D
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", SHAP_MODELS)
def test_it_equals_shap(name):
    import shap  # what it warns of when it is imported is its own

    model = SHAP_MODELS[name]()
    x, references = sequences(3, 6, model.input_shape[1])
    explainer = shap.DeepExplainer(model, references[0].astype(np.float32))
    wanted = shap_values(explainer, x, references)
    heads = range(wanted.shape[-1])
    assert_close(deepshap(model, x, references, heads), wanted, 1e-4)
    shared = np.broadcast_to(references[1], references.shape)
    wanted = shap_values(explainer, x, shared)
    assert_close(deepshap(model, x, references[1], heads), wanted, 1e-4)


TWIN_MODELS = {
    "ResidualBind": small_residualbind,
    "ResidualBind with max pooling": lambda: small_residualbind(pool=layers.MaxPooling1D),
    "ResidualBind with an exponential first layer": lambda: small_residualbind(
        first="exponential", activation="relu"
    ),
    "ResidualBind with softplus": lambda: small_residualbind(activation="softplus"),
    "gates and shared layers": architectures.gated,
    "no activation": lambda: around(layers.Dense(3)),
    "overlapping pools": lambda: around(
        layers.Activation("gelu"),
        layers.MaxPooling1D(3, 2, padding="same"),
        layers.Activation("relu"),
        layers.AveragePooling1D(4, 3, padding="same"),
        layers.Activation("mish"),
    ),
    "activations within layers": lambda: around(
        layers.Conv1D(5, 3, dilation_rate=2, activation="elu"),
        layers.Dense(4, activation="softsign"),
        layers.Flatten(),
        layers.Dense(6, activation="tanh"),
        layers.Dense(3, activation="sigmoid"),
    ),
}


@pytest.mark.parametrize("name", TWIN_MODELS)
def test_it_equals_the_slow_twin(name):
    model = TWIN_MODELS[name]()
    x, references = sequences(2, 3)
    found = explain(model, x, references, [0, 1])
    assert_close(found.contributions, twin.deepshap(model, x, references), 2e-5)
    assert_additive(found)


ADDITIVE_MODELS = {
    "ResidualBind as published": architectures.residualbind,
    "models within models": architectures.nested,
    "parametric activations": lambda: around(
        layers.PReLU(), layers.Conv1D(5, 3), layers.ReLU(2, 0.1), layers.Conv1D(5, 3), layers.ELU(2)
    ),
    "every kind of convolution": lambda: around(
        layers.Conv1D(6, 3, groups=2, activation="silu"),
        layers.SeparableConv1D(4, 3, activation="tanh"),
        layers.DepthwiseConv1D(3, activation="relu"),
        layers.Conv1DTranspose(4, 3, strides=2, activation="softplus"),
        layers.Conv1D(4, 3, strides=2, padding="same", activation="gelu"),
    ),
    "causal and dilated": lambda: around(
        layers.Conv1D(4, 3, padding="causal", dilation_rate=3, activation="silu", use_bias=False)
    ),
    "shapes": lambda: around(
        layers.ZeroPadding1D(2),
        layers.Cropping1D((1, 0)),
        layers.UpSampling1D(2),
        layers.Permute((2, 1)),
        layers.Reshape((6, 40, 2)),
        layers.Conv2D(3, (2, 4), activation="relu"),
        layers.MaxPooling2D(2),
        layers.GlobalAveragePooling2D(),
        layers.RepeatVector(3),
        layers.Rescaling(2.0, 1.0),
    ),
    "inference of dropout and noise": lambda: around(
        layers.SpatialDropout1D(0.5),
        layers.GaussianNoise(1.0),
        layers.Activation("selu"),
        layers.AlphaDropout(0.5),
        layers.GaussianDropout(0.5),
        layers.BatchNormalization(axis=1),
        layers.Activation("hard_silu"),
        layers.BatchNormalization(center=False, scale=False),
    ),
}


@pytest.mark.parametrize("name", ADDITIVE_MODELS)
def test_it_is_additive(name):
    model = ADDITIVE_MODELS[name]()
    x, references = sequences(4, 3, model.input_shape[1])
    # Differences are small beside the predictions, which CPUs round apart.
    assert_additive(explain(model, x, references, range(model.output_shape[1])), 3e-4)


def test_predictions_are_the_models_own(tiny):
    x, references = sequences(4, 5)
    found = explain(tiny, x, references, [1, 0])
    heads = [1, 0]
    wanted = tiny.predict(x.astype(np.float32), verbose=0)[:, heads]
    on_references = tiny.predict(references.reshape(-1, LENGTH, 4).astype(np.float32), verbose=0)
    np.testing.assert_allclose(found.prediction, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        found.expected, on_references[:, heads].reshape(4, 5, 2).mean(axis=1), rtol=1e-5, atol=1e-6
    )
    assert {part.dtype for part in vars(found).values()} == {np.dtype(np.float32)}


def test_shapes_follow_what_is_asked_for(tiny):
    x, references = sequences(3, 2)
    assert deepshap(tiny, x, references).shape == x.shape
    assert deepshap(tiny, x, references[0], [1]).shape == (*x.shape, 1)


def test_heads_alone_equal_heads_together(tiny):
    x, references = sequences(3, 4)
    both = explain(tiny, x, references, [0, 1])
    for head in (0, 1):
        alone = explain(tiny, x, references, head)
        for part, wanted in vars(both).items():
            np.testing.assert_allclose(
                getattr(alone, part)[..., 0], wanted[..., head], rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize("shared", [False, True])
def test_maps_do_not_depend_on_the_batch_size(tiny, shared):
    x, references = sequences(5, 5)
    references = references[0] if shared else references
    wanted = explain(tiny, x, references, [0, 1])
    # One pair, fewer references than there are, some sequences, and a rest of each.
    for batch_size in (1, 3, 14):
        found = explain(tiny, x, references, [0, 1], batch_size=batch_size)
        for part, value in vars(found).items():
            np.testing.assert_allclose(value, getattr(wanted, part), rtol=1e-4, atol=2e-6)


def test_shared_references_equal_the_same_ones_for_each(tiny):
    x, references = sequences(4, 3)
    each = np.broadcast_to(references[0], references.shape)
    np.testing.assert_allclose(
        deepshap(tiny, x, references[0]), deepshap(tiny, x, each), rtol=1e-4, atol=1e-6
    )


def test_the_type_of_sequences_does_not_matter(tiny):
    x, references = sequences(2, 3)
    wanted = deepshap(tiny, x, references)
    for kind in (bool, np.float64):
        np.testing.assert_array_equal(deepshap(tiny, x.astype(kind), references), wanted)


def test_an_ensemble_is_the_mean_of_its_members(tiny):
    other = around(layers.Activation("relu"))
    x, references = sequences(3, 4)
    found = explain([tiny, other], x, references, [0, 1])
    members = [explain(member, x, references, [0, 1]) for member in (tiny, other)]
    for part, value in vars(found).items():
        if part != "residual":
            wanted = np.mean([getattr(member, part) for member in members], axis=0)
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-6)
    assert_additive(found)


def test_hypothetical_contributions_are_those_of_the_base_that_is_there(tiny):
    x, references = sequences(3, 4)
    found = explain(tiny, x, references, [0, 1])
    there = (found.hypothetical * x[..., None]).sum(axis=2)
    np.testing.assert_allclose(there, found.contributions.sum(axis=2), rtol=1e-4, atol=1e-5)


def test_hypothetical_contributions_of_a_linear_model_are_those_of_a_mutant():
    """There the multipliers of any sequence are the same: a mutant's contributions say it."""
    model = around()
    x, references = sequences(1, 4)
    hypothetical = explain(model, x, references[0]).hypothetical[0, 20, :, 0]
    mutants = np.repeat(x, 4, axis=0)
    mutants[:, 20] = np.eye(4)
    contributions = deepshap(model, mutants, references[0])[:, 20].sum(axis=1)
    np.testing.assert_allclose(hypothetical, contributions, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda: around(layers.Activation("relu"), layers.MaxPooling1D(2), layers.LeakyReLU()),
        lambda: around(layers.Activation("exponential"), layers.GlobalMaxPooling1D()),
    ],
)
def test_a_reference_that_is_the_sequence_contributes_nothing(build, caplog):
    model = build()
    x, references = sequences(2, 3)
    found = explain(model, x, x[:, None])
    assert not found.contributions.any()
    np.testing.assert_allclose(found.prediction, found.expected, rtol=1e-5)
    assert not caplog.records
    # Every multiplier is the gradient, so that this is what a hypothetical contribution says.
    with tf.GradientTape() as tape:
        z = tf.Variable(x.astype(np.float32))
        output = model(z)[:, 0]
    gradient = tape.gradient(output, z).numpy()
    wanted = gradient - (gradient * x).sum(axis=2, keepdims=True)
    assert_close(found.hypothetical, wanted[..., None], 1e-4)
    # Among others, it is one more that divides the sum.
    more = np.concatenate([references, x[:, None]], axis=1)
    np.testing.assert_allclose(
        deepshap(model, x, more), deepshap(model, x, references) * 3 / 4, rtol=1e-4, atol=1e-6
    )


def test_unknown_bases_are_zero_rows(tiny):
    x, references = sequences(3, 4)
    x[:, 5:9] = 0
    references[..., 7:12, :] = 0
    found = explain(tiny, x, references, [0, 1])
    assert_additive(found)
    # Unknown in both: no difference, no contribution. Unknown in x alone: minus what r had.
    assert not found.contributions[:, 7:9].any()
    assert found.contributions[:, 5:7].any(axis=2).all()
    np.testing.assert_allclose(
        found.contributions,
        twin.deepshap(tiny, x, references),
        rtol=1e-4,
        atol=1e-5 * np.abs(found.contributions).max(),
    )


def test_a_uniform_reference_is_additive(tiny):
    x, _ = sequences(3, 1)
    assert_additive(explain(tiny, x, np.full((1, LENGTH, 4), 0.25), [0, 1]))


def test_it_can_be_repeated_exactly(tiny):
    x, references = sequences(3, 4)
    np.testing.assert_array_equal(deepshap(tiny, x, references), deepshap(tiny, x, references))


def test_new_weights_are_seen(tiny):
    model = keras.models.clone_model(tiny)
    x, references = sequences(1, 2)
    model.set_weights(tiny.get_weights())
    before = deepshap(model, x, references)
    model.set_weights([-weight for weight in tiny.get_weights()])
    assert not np.allclose(deepshap(model, x, references), before)


def test_large_residuals_are_told(caplog):
    # Units around 1e4, which float32 holds to 1e-3, and a head that takes their differences.
    model = around(layers.Rescaling(1, 1e4), layers.Activation("silu"))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel - kernel.mean(axis=0), bias])
    explain(model, *sequences(3, 2))
    [record] = caplog.records
    assert "of 3 sequences" in record.getMessage()


def test_progress_is_counted_in_pairs(tiny, capfd):
    x, references = sequences(3, 4)
    deepshap([tiny, tiny], x, references, batch_size=5, progress=True)
    assert "24/24" in capfd.readouterr().err


def test_memory_does_not_grow_with_the_number_of_sequences():
    model = architectures.deepstarr(heads=1)
    x, references = sequences(100, 20, 249)

    def peak(n):
        deepshap(model, x[:n], references[:n], batch_size=20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    few = peak(5)
    # All values of a pair take more than a megabyte, 2 GB in total.
    assert peak(100) - few < 200_000


# Refusals.


def functional(middle, length=LENGTH):
    """A model around a function of a tensor (N, L, 4)."""
    inputs = keras.Input((length, 4))
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(middle(inputs))))


class Doubled(layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


class AlwaysDropout(layers.Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs[:, 0]


def my_activation(z):
    return z**2


REFUSED = {
    "attention": (
        lambda x: layers.MultiHeadAttention(1, 2, name="attn")(x, x),
        r'"attn" \(MultiHeadAttention\) is not covered by the rescale rule; replace it',
    ),
    "recurrent": (layers.LSTM(3, name="rnn"), r'layer "rnn" \(LSTM\)'),
    "bidirectional": (layers.Bidirectional(layers.GRU(3), name="bi"), r'"bi" \(Bidirectional\)'),
    "layer norm": (layers.LayerNormalization(name="ln"), r'"ln" \(LayerNormalization\)'),
    "group norm": (layers.GroupNormalization(2, name="gn"), r'"gn" \(GroupNormalization\)'),
    "lambda": (layers.Lambda(lambda z: z * z, name="square"), r'"square" \(Lambda\)'),
    "subclass": (Doubled(3, name="twice"), r'"twice" \(Doubled\)'),
    "subclass of dropout": (AlwaysDropout(0.5, name="always"), r'"always" \(AlwaysDropout\)'),
    "softmax": (layers.Softmax(name="soft"), r'"soft" \(Softmax\)'),
    "softmax activation": (
        layers.Dense(3, activation="softmax", name="out"),
        r'"out" \(Dense\) with activation softmax',
    ),
    "one's own activation": (
        layers.Activation(my_activation, name="mine"),
        r'"mine" \(Activation\) with activation my_activation',
    ),
    "one's own activation within a layer": (
        layers.Conv1D(3, 3, activation=my_activation, name="conv"),
        r'"conv" \(Conv1D\) with activation my_activation',
    ),
    "joined sequences": (
        lambda x: layers.Concatenate(axis=0, name="join")([x, x]),
        r'"join" \(Concatenate\) along axis 0',
    ),
    "plus sign": (lambda x: x + x, r'operation "add\w*" \(Add\).*keras.layers.Add for x \+ y'),
    "operation": (keras.ops.silu, r'operation "silu'),
    "maximum": (
        lambda x: layers.Maximum(name="max")([x, layers.Dense(4)(x)]),
        r'"max" \(Maximum\)',
    ),
    "three factors": (
        lambda x: layers.Multiply(name="three")([x, x, x]),
        r'"three" \(Multiply\).*two tensors at a time',
    ),
    "mask": (layers.Masking(name="mask"), r'"mask" \(Masking\)'),
    "dropout while predicting": (
        lambda x: layers.Dropout(0.5, name="mc")(x, training=True),
        r'"mc" \(Dropout\), called with training,',
    ),
    "mixed precision": (
        layers.Conv1D(3, 3, dtype="mixed_float16", name="half"),
        r'"half" \(Conv1D\) in mixed_float16.*float32',
    ),
    "subclassed model": (Subclassed(name="free"), r'"free" \(Subclassed\).*functional'),
    "channels first": (
        layers.MaxPooling1D(2, data_format="channels_first", name="first"),
        r'"first" \(MaxPooling1D\)',
    ),
}


@pytest.mark.filterwarnings("ignore:.*mask:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_without_a_rule_is_refused_by_name(name):
    middle, message = REFUSED[name]
    x, references = sequences(1, 2)
    with pytest.raises(InputError, match=message) as error:
        deepshap(functional(middle), x, references)
    assert "saliency or mutagenesis" in str(error.value)
    assert str(error.value).count("\n") == 0


def test_what_is_within_a_model_within_a_model_is_named():
    inner = keras.Sequential([keras.Input((LENGTH, 4)), layers.UnitNormalization(name="unit")])
    with pytest.raises(InputError, match='"unit"'):
        deepshap(functional(inner), *sequences(1, 2))


def test_any_member_of_an_ensemble_can_be_refused_before_anything_is_computed(tiny, capfd):
    other = functional(layers.Softmax(name="soft"))
    both = around(layers.Softmax(name="soft"))
    assert other.output_shape != tiny.output_shape
    with pytest.raises(InputError, match='"soft"'):
        deepshap([tiny, both], *sequences(1, 2), progress=True)
    assert "pair" not in capfd.readouterr().err


def test_a_layer_that_does_something_else_than_its_class_is_refused():
    model = around(layers.Activation("relu", name="odd"))
    layer = model.get_layer("odd")
    layer.call = lambda z: keras.ops.relu(z) ** 2
    with pytest.raises(InputError, match="does not predict what its layers do"):
        deepshap(model, *sequences(2, 2))


def my_penalty(weights):
    return keras.ops.sum(keras.ops.abs(weights))


def my_weights(shape, dtype=None):
    return keras.random.normal(shape, dtype=dtype, seed=1)


def test_what_only_training_knows_of_a_layer_does_not_matter():
    own = {"kernel_regularizer": my_penalty, "kernel_initializer": my_weights}
    model = functional(layers.Conv1D(3, 3, activation="silu", **own))
    assert_additive(explain(model, *sequences(2, 3)))
    conv = model.layers[1]
    conv.activation = None
    assert_additive(explain(model, *sequences(2, 3)))


@pytest.mark.parametrize("scale", [1e-3, 1e-6, 1e-9])
def test_small_numbers_before_pooling_count_as_large_ones_do(scale):
    x, references = sequences(4, 5)
    inputs = keras.Input((LENGTH, 4))
    conv = layers.Conv1D(6, 3, activation="relu")
    pooled = layers.MaxPooling1D(2)(layers.Rescaling(scale)(conv(inputs)))
    outputs = layers.Dense(1)(layers.Flatten()(layers.Rescaling(1 / scale)(pooled)))
    assert_additive(explain(keras.Model(inputs, outputs), x, references))


@pytest.mark.parametrize("model", [None, "model.h5"])
def test_what_is_no_model_is_a_sentence(model):
    with pytest.raises(InputError, match=r"but got .*; load one with keras\.models\.load_model"):
        deepshap(model, *sequences(1, 2))


def test_numbers_that_are_not_finite_are_refused(tiny):
    x, references = sequences(2, 3)
    x, references = x.astype(float), references.astype(float)
    broken = np.where(np.arange(LENGTH)[:, None] == 3, np.nan, x)
    with pytest.raises(InputError, match="sequences x of finite numbers"):
        deepshap(tiny, broken, references)
    with pytest.raises(InputError, match="references of finite numbers"):
        deepshap(tiny, x, references + np.inf)
    with pytest.raises(InputError, match="sequences x"):
        deepshap(tiny, x.astype(str), references)


def test_a_model_that_overflows_is_refused():
    model = around(layers.Activation("exponential", name="e"), layers.Activation("relu"))
    model.layers[1].set_weights([w * 0 + 200 for w in model.layers[1].get_weights()])
    with pytest.raises(InputError, match="predicts values that are not finite"):
        deepshap(model, *sequences(1, 2))


def test_integer_inputs_are_refused():
    inputs = keras.Input((LENGTH, 4), dtype="uint8")
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Rescaling(1.0)(inputs))))
    with pytest.raises(InputError, match="input of uint8"):
        deepshap(model, *sequences(1, 2))


@pytest.mark.parametrize(
    "shape", [(LENGTH, 4), (2, LENGTH + 1, 4), (2, 3, LENGTH, 4), (0, LENGTH, 4), (1, 0, LENGTH, 4)]
)
def test_references_that_do_not_fit_are_refused(tiny, shape):
    x, _ = sequences(1, 1)
    with pytest.raises(InputError, match="DeepSHAP needs references"):
        deepshap(tiny, x, np.zeros(shape))


def test_an_empty_batch_is_refused(tiny):
    with pytest.raises(InputError, match="batch_size"):
        deepshap(tiny, *sequences(1, 1), batch_size=0)
