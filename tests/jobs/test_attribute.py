"""Maps of one member of a study: what jobs call."""

import keras
import numpy as np
import pytest

from degu.attribution import deepshap, mutagenesis, saliency, shuffled_references
from degu.attribution.maps import METHODS
from degu.attribution.selection import read_sequences, write_sequences
from degu.dataset import read_info, read_split
from degu.errors import InputError
from degu.heads import Heads
from degu.ingest.simulate import ingest
from degu.jobs.attribute import attribute, shared_references
from degu.sweep import derive_seed
from degu.training.batches import predict

HEADS = Heads.student(("Dev", "Hk"), "std")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sequences")


@pytest.fixture(scope="module")
def sequences(folder):
    data = {"n_train": 20, "n_val": 20, "n_test": 30, "length": 40}
    data |= {"replicates": 2, "decoys": 0.25, "noise": 0.3}
    ingest(data, ("Dev", "Hk"), folder / "dataset.h5", seed=7)
    settings = {"top_n": 5, "bins": 2, "per_bin": 4, "seed": 7}
    write_sequences(folder / "sequences.h5", folder / "dataset.h5", **settings)
    return read_sequences(folder / "sequences.h5", read_info(folder / "dataset.h5").sha256)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((40, 4))
    x = keras.layers.Conv1D(6, 5, activation="relu")(inputs)
    x = keras.layers.MaxPooling1D(4)(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="heads")(x), name="net")


def test_each_head_has_the_map_of_its_column(model, sequences):
    """Kind by kind, then target by target: Dev-std is column 2 and Hk is column 1."""
    maps = attribute(model, HEADS, sequences, "ism")
    assert {target: list(by_kind) for target, by_kind in maps.items()} == {
        "Dev": ["mean", "std"],
        "Hk": ["mean", "std"],
    }
    for target, kind, column in (("Dev", "std", 2), ("Hk", "mean", 1), ("Hk", "std", 3)):
        x = sequences.targets[target].x
        made = maps[target][kind]
        np.testing.assert_allclose(made.maps, mutagenesis(model, x, column), atol=1e-6)
        np.testing.assert_allclose(made.prediction, predict(model, x)[:, column], rtol=1e-5)
        assert made.residual is None


def test_each_method_is_what_it_is_called(model, sequences):
    x = sequences.targets["Hk"].x
    shared = sequences.targets["Dev"].x[:3]
    seed = derive_seed(7, "attribution references", target="Hk")
    expected = {
        "saliency": saliency(model, x, 1),
        "shap": deepshap(model, x, shared, 1),
        "shap_dinuc_shuffle": deepshap(model, x, shuffled_references(x, 5, seed), 1),
        "ism": mutagenesis(model, x, 1),
    }
    assert set(expected) == set(METHODS)
    for method, wanted in expected.items():
        settings = {"references": shared, "shuffles": 5}
        made = attribute(model, HEADS, sequences, method, **settings)["Hk"]["mean"]
        np.testing.assert_allclose(made.maps, wanted, atol=1e-6, err_msg=method)
        assert (made.residual is not None) == method.startswith("shap")
        assert made.hypothetical is None


def test_hypothetical_contributions_are_kept_on_request(model, sequences):
    x = sequences.targets["Dev"].x
    settings = {"references": x[:3], "hypothetical": True}
    made = attribute(model, HEADS, sequences, "shap", **settings)["Dev"]["mean"]
    # A position's contribution is the hypothetical one of its own base.
    np.testing.assert_allclose(
        made.maps.sum(axis=2), (made.hypothetical * x).sum(axis=2), rtol=1e-4, atol=1e-5
    )


def test_all_models_get_the_same_shuffles(model, sequences):
    """Another model's map of the same weights is the same to the bit."""
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    first, second = (
        attribute(m, HEADS, sequences, "shap_dinuc_shuffle", shuffles=2)["Dev"]["mean"]
        for m in (model, twin)
    )
    np.testing.assert_array_equal(first.maps, second.maps)


def test_an_unknown_method_is_an_error(model, sequences):
    with pytest.raises(InputError, match=r"attribution\.methods: 'gradient' is unknown; write "):
        attribute(model, HEADS, sequences, "gradient")


def test_a_layer_without_a_rule_is_named(sequences):
    inputs = keras.Input((40, 4))
    x = keras.layers.MultiHeadAttention(1, 4, name="mixer")(inputs, inputs)
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    with pytest.raises(InputError, match="mixer"):
        attribute(model, HEADS, sequences, "shap_dinuc_shuffle")
    assert np.isfinite(attribute(model, HEADS, sequences, "saliency")["Dev"]["mean"].maps).all()


def test_shared_references_are_the_published_draw(folder, sequences):
    x = read_split(folder / "dataset.h5", "Test").x
    rows = np.random.default_rng(1234).choice(30, 10, replace=False)
    drawn = shared_references(folder / "dataset.h5", 10, 1234)
    np.testing.assert_array_equal(drawn, x[rows])
    with pytest.raises(InputError, match=r"attribution\.references: 31 is more than the 30 test "):
        shared_references(folder / "dataset.h5", 31, 1234)
