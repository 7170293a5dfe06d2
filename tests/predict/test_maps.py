"""Maps of models from files: averages over models, hypothetical scores, and files."""

import h5py
import numpy as np
import pytest
from tiny_models import LENGTH, TARGETS, codes, save, student

from degu.attribution import deepshap, mutagenesis, saliency, shuffled_references
from degu.attribution.maps import importance
from degu.attribution.methods import METHODS, Answer, Method, registered
from degu.errors import InputError
from degu.models.files import load_model
from degu.predict.maps import (
    file_part,
    hdf5_writer,
    heads_of,
    hypothetical,
    make_maps,
    modisco_writer,
    paths_of,
)
from degu.predict.predictor import Predictor
from degu.sequences import from_codes
from degu.sweep import derive_seed

SETTINGS = {"references": 3, "hypothetical": True}


@pytest.fixture(scope="module")
def x():
    return from_codes(codes(4, letters=5))


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp("students")
    return Predictor.open([student(folder / f"{i}_tiny.h5") for i in (1, 2)])


def maps_of(predictor, x, method, head="activity", targets=()):
    heads = heads_of(predictor, head, targets)
    return make_maps(heads, x, method, seed=7, settings=SETTINGS, others=lambda: x)


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_the_mean_over_models_of_what_the_package_makes(students, x, method):
    models = [load_model(path)[0] for path in students.paths]
    seed = derive_seed(7, "attribution references", target="")
    direct = {
        "saliency": lambda m: saliency(m, x, [1, 0]),
        "ism": lambda m: mutagenesis(m, x, [1, 0]),
        "shap": lambda m: deepshap(m, x, x[np.random.default_rng(7).choice(4, 3, False)], [1, 0]),
        "shap_dinuc_shuffle": lambda m: deepshap(m, x, shuffled_references(x, 3, seed), [1, 0]),
    }[method]
    expected = np.mean([direct(model) for model in models], axis=0)[..., ::-1]
    assert np.abs(expected).max() > 1e-3
    made = maps_of(students, x, method)
    np.testing.assert_allclose(made.maps, expected, atol=1e-6)
    predicted = np.mean([model(x.astype("f4")).numpy() for model in models], axis=0)[:, :2]
    np.testing.assert_allclose(made.prediction, predicted, atol=1e-6)


def test_maps_of_uncertainty_are_of_its_heads_and_targets_are_chosen(students, x):
    models = [load_model(path)[0] for path in students.paths]
    made = maps_of(students, x, "ism", "uncertainty", ["Hk"])
    expected = np.mean([mutagenesis(model, x, [3]) for model in models], axis=0)
    np.testing.assert_allclose(made.maps, expected, atol=1e-6)


def test_maps_of_a_target_do_not_depend_on_the_others(students, x):
    both, alone = (maps_of(students, x, "shap_dinuc_shuffle", targets=t) for t in ((), ("Hk",)))
    np.testing.assert_allclose(both.maps[..., 1:], alone.maps, atol=1e-6)


def test_heads_that_are_not_there_are_refused(students, tmp_path):
    with pytest.raises(InputError, match="has no target Leaf; it predicts Dev, Hk"):
        heads_of(students, "activity", ["Leaf"])
    teacher = Predictor.open([save(tmp_path / "1_tiny.h5")])
    with pytest.raises(InputError, match="predicts no uncertainty"):
        heads_of(teacher, "uncertainty")
    mixed = [student(tmp_path / f"{i}_{kind}.h5", kind) for i, kind in enumerate(["std", "logvar"])]
    with pytest.raises(InputError, match="heads of std and of log variance"):
        heads_of(Predictor.open(mixed), "uncertainty")
    assert heads_of(Predictor.open(mixed), "activity").kind == "mean"


@pytest.mark.parametrize("method", METHODS)
def test_hypothetical_scores_at_the_observed_base_are_importance(students, x, method):
    """modisco-lite multiplies them by the sequence to get contributions."""
    made = maps_of(students, x, method)
    scores = hypothetical(made, method)
    for i in range(len(TARGETS)):
        contributions = (scores[..., i] * x).sum(axis=-1)
        expected = importance(made.maps[..., i], x, method)
        known = x.any(axis=-1)
        np.testing.assert_allclose(contributions[known], expected[known], atol=1e-6)
        assert np.abs(contributions).max() > 1e-3
        assert (contributions[~known] == 0).all()


def test_hypothetical_scores_of_a_linear_model_by_ism_and_saliency():
    """Of f = Σ w·x both are w less its mean over the bases, whatever the sequence."""
    weights = np.random.default_rng(0).normal(size=(1, LENGTH, 4, 1))
    x = from_codes(codes(1, letters=4))
    effects = weights - (weights * x[..., None]).sum(axis=2, keepdims=True)
    centred = weights - weights.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(hypothetical(Answer(effects), "ism"), centred)
    np.testing.assert_allclose(hypothetical(Answer(centred), "saliency"), centred)


def test_a_method_without_hypothetical_scores_is_refused():
    with (
        registered(Method("mine", "mine", "a.b:c", "sum")),
        pytest.raises(InputError, match="mine gives no hypothetical contributions"),
    ):
        hypothetical(Answer(np.zeros((1, 2, 4, 1))), "mine")


def answer(n, targets, seed=0):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(n, LENGTH, 4, targets))
    return Answer(maps, maps[:, 0, 0], maps[:, 1, 1], 2 * maps)


def test_hdf5_has_a_file_a_target_that_holds_all_blocks(tmp_path, x):
    made = answer(4, 2)
    paths = paths_of(TARGETS, str(tmp_path / "maps"), ".h5")
    assert [path.name for path in paths.values()] == ["maps_Dev.h5", "maps_Hk.h5"]
    with hdf5_writer(paths, ["a", "b", "b", "ä"], method="shap", kind="mean") as write:
        for rows in (slice(0, 3), slice(3, 4)):
            parts = [part if part is None else part[rows] for part in made]
            write(rows, x[rows], Answer(*parts))
    for i, target in enumerate(TARGETS):
        with h5py.File(paths[target]) as file:
            assert list(file["id"].asstr()) == ["a", "b", "b", "ä"]
            np.testing.assert_array_equal(file["x"], x)
            np.testing.assert_array_equal(file["maps"], made.maps[..., i].astype("f4"))
            np.testing.assert_array_equal(file["hypothetical"], 2 * file["maps"][:])
            np.testing.assert_array_equal(file["prediction"], file["maps"][:, 0, 0])
            np.testing.assert_array_equal(file["residual"], file["maps"][:, 1, 1])
            assert dict(file.attrs) == {"target": target, "method": "shap", "kind": "mean"}


def test_nothing_stays_of_a_file_that_was_not_finished(tmp_path, x):
    def stop(writer):
        with writer as write:
            write(slice(0, 4), x, answer(4, 2))
            raise KeyboardInterrupt

    def fail(writer):
        with pytest.raises(KeyboardInterrupt):
            stop(writer)

    fail(hdf5_writer(paths_of(TARGETS, str(tmp_path / "maps"), ".h5"), list("abcd")))
    paths = paths_of(TARGETS, str(tmp_path / "maps"), "_hyp.npz")
    fail(modisco_writer(paths, tmp_path / "maps_ohe.npz", 4, LENGTH, "shap"))
    assert list(tmp_path.iterdir()) == []


def test_modisco_reads_length_last_scores_of_each_target(tmp_path, x):
    made = answer(4, 2)
    paths = paths_of(TARGETS, str(tmp_path / "maps"), "_hyp.npz")
    with modisco_writer(paths, tmp_path / "maps_ohe.npz", 4, LENGTH, "shap") as write:
        write(slice(0, 4), x, made)
    # As modisco-lite does it: arr_0, (N, 4, L), transposed.
    loaded = np.load(tmp_path / "maps_ohe.npz", allow_pickle=False)["arr_0"].transpose(0, 2, 1)
    np.testing.assert_array_equal(loaded, x)
    for i, target in enumerate(TARGETS):
        scores = np.load(paths[target], allow_pickle=False)["arr_0"]
        assert (scores.shape, scores.dtype) == ((4, 4, LENGTH), np.float32)
        np.testing.assert_allclose(scores.transpose(0, 2, 1), 2 * made.maps[..., i], rtol=1e-6)


def test_names_of_files():
    assert paths_of(["Dev"], "out/maps", ".h5")["Dev"].as_posix() == "out/maps.h5"
    assert file_part("../a b/c$") == "_a_b_c_"
    assert file_part("chr1:5-9(+)") == "chr1_5-9_+_"
    with pytest.raises(InputError, match="a/b, a b would share a file"):
        paths_of(["a/b", "a b"], "maps", ".h5")
