"""Maps of one member of a study: what jobs call."""

import keras
import numpy as np
import pytest

from degu.attribution import deepshap, mutagenesis, saliency, shuffled_references
from degu.attribution.maps import read_maps
from degu.attribution.methods import METHODS, Answer, Method, registered
from degu.attribution.selection import read_sequences, write_sequences
from degu.dataset import read_info, read_split
from degu.errors import InputError
from degu.heads import Heads
from degu.ingest.simulate import ingest
from degu.io.card import Card
from degu.jobs.attribute import attribute, attribute_member
from degu.models.files import save_model
from degu.study.kinds import STUDENT
from degu.study.member import Member
from degu.sweep import derive_seed
from degu.training.batches import predict

HEADS = Heads.student(("Dev", "Hk"), "std")
SHUFFLES = {"k": 2, "hypothetical": False}


def none():
    """For methods that need no test set."""
    raise AssertionError("The test set has been read.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sequences")


@pytest.fixture(scope="module")
def sequences(folder):
    data = {"n_train": 20, "n_val": 20, "n_test": 30, "length": 40}
    data |= {"replicates": 2, "decoys": 0.25, "noise": 0.3, "rarity": 1}
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
    maps = attribute(model, HEADS, sequences, "ism", none)
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
    test = sequences.targets["Dev"].x
    shared = test[np.random.default_rng(7).choice(len(test), 5, replace=False)]
    seed = derive_seed(7, "attribution references", target="Hk")
    expected = {
        "saliency": saliency(model, x, 1),
        "shap": deepshap(model, x, shared, 1),
        "shap_dinuc_shuffle": deepshap(model, x, shuffled_references(x, 5, seed), 1),
        "ism": mutagenesis(model, x, 1),
    }
    assert set(expected) == set(METHODS)
    for method, wanted in expected.items():
        settings = METHODS[method].settings_of({"references": 5, "hypothetical": False})
        made = attribute(model, HEADS, sequences, method, lambda: test, **settings)["Hk"]["mean"]
        np.testing.assert_allclose(made.maps, wanted, atol=1e-6, err_msg=method)
        assert (made.residual is not None) == method.startswith("shap")
        assert made.hypothetical is None


def test_hypothetical_contributions_are_kept_on_request(model, sequences):
    x = sequences.targets["Dev"].x
    settings = {"k": 3, "hypothetical": True}
    made = attribute(model, HEADS, sequences, "shap", lambda: x, **settings)["Dev"]["mean"]
    # A position's contribution is the hypothetical one of its own base.
    np.testing.assert_allclose(
        made.maps.sum(axis=2), (made.hypothetical * x).sum(axis=2), rtol=1e-4, atol=1e-5
    )


def test_all_models_get_the_same_shuffles(model, sequences):
    """Another model's map of the same weights is the same to the bit."""
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    first, second = (
        attribute(m, HEADS, sequences, "shap_dinuc_shuffle", none, **SHUFFLES)["Dev"]["mean"]
        for m in (model, twin)
    )
    np.testing.assert_array_equal(first.maps, second.maps)


def test_an_unknown_method_is_an_error(model, sequences):
    with pytest.raises(InputError, match="no attribution method 'gradient'; use one of saliency, "):
        attribute(model, HEADS, sequences, "gradient", none)


def test_a_layer_without_a_rule_is_named(sequences):
    inputs = keras.Input((40, 4))
    x = keras.layers.MultiHeadAttention(1, 4, name="mixer")(inputs, inputs)
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    with pytest.raises(InputError, match="mixer"):
        attribute(model, HEADS, sequences, "shap_dinuc_shuffle", none, **SHUFFLES)
    made = attribute(model, HEADS, sequences, "saliency", none)["Dev"]["mean"]
    assert np.isfinite(made.maps).all()


def dummy_maps(model, question, *, factor):
    """A method of this test alone: the sequence itself, a multiple of it for each head."""
    columns = np.array(question.columns)
    return Answer(factor * question.x[..., None] * columns)


DUMMY = Method(
    "dummy", "dummy", f"{__name__}:dummy_maps", "observed", settings={"references": "factor"}
)


def test_a_registered_method_makes_maps_and_the_job_adds_predictions(model, sequences):
    with registered(DUMMY):
        settings = DUMMY.settings_of({"references": 3, "hypothetical": True})
        maps = attribute(model, HEADS, sequences, "dummy", none, **settings)
    x = sequences.targets["Hk"].x
    for kind, column in (("mean", 1), ("std", 3)):
        made = maps["Hk"][kind]
        np.testing.assert_array_equal(made.maps, 3 * column * x)
        np.testing.assert_allclose(made.prediction, predict(model, x)[:, column], rtol=1e-5)
        assert made.residual is None
        assert made.hypothetical is None


def test_references_must_be_there(model, sequences):
    test = sequences.targets["Dev"].x[:4]
    with pytest.raises(InputError, match=r"attribution\.references: 9 is more than the 4 test seq"):
        attribute(model, HEADS, sequences, "shap", lambda: test, k=9, hypothetical=False)


def test_the_files_of_members(model, folder, sequences, tmp_path):
    """Maps of each of its own weights, on references that are the published draw."""
    card = {"heads": HEADS, "architecture": "deepstarr", "role": "student", "size": 2}
    card |= {"augmentation": "standard", "proportion": 1.0, "seed": 1}
    members, paths = [], []
    for ix in (1, 2):
        twin = keras.models.clone_model(model)
        twin.set_weights([ix * weight for weight in model.get_weights()])
        paths.append(str(tmp_path / f"{ix}_DeepSTARR.h5"))
        sha256 = sequences.dataset_sha256
        save_model(twin, paths[-1], Card(**card, member=ix, dataset_sha256=sha256))
        members.append(Member(STUDENT, "standard", 1.0, ix, size=2, uncertainty="std"))
    files = {"dataset": folder / "dataset.h5", "sequences": folder / "sequences.h5"}
    outputs = [str(tmp_path / f"{ix}_shap.h5") for ix in (1, 2)]
    settings = {"k": 10, "hypothetical": False}
    for member, path, output in zip(members, paths, outputs, strict=True):
        own = {**files, "model": path}
        attribute_member(member, own, output, "shap", settings, "deepstarr")
    rows = np.random.default_rng(7).choice(30, 10, replace=False)
    references = read_split(folder / "dataset.h5", "Test").x[rows]
    x = sequences.targets["Hk"].x
    for output, path in zip(outputs, paths, strict=True):
        maps, _ = read_maps(output, method="shap", sequences_sha256=sequences.sha256)
        wanted = deepshap(keras.models.load_model(path), x, references, 3)
        np.testing.assert_allclose(maps["Hk"]["std"].maps, wanted, atol=1e-6)
    assert (tmp_path / "2_top5_Hk-std_shap.npy").exists()
    own = {**files, "model": paths[0]}
    with pytest.raises(InputError, match="has member 1, where 2 is needed"):
        attribute_member(members[1], own, outputs[1], "ism", {}, "deepstarr")
