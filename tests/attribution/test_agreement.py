"""How alike maps are: brute force, identities, and maps without a direction."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from degu.attribution import agreement as module
from degu.attribution.agreement import agreement

METRICS = ("Std", "Cosine", "Spearman")
TO_ENSEMBLE = ("RMSE_to_ensemble", "Cosine_to_ensemble", "Spearman_to_ensemble")
TO_OTHERS = ("RMSE_to_others", "Cosine_to_others", "Spearman_to_others")


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def random_maps(models, n, seed=0, length=7, zeros=0.0):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(models, n, length, 4)).astype(np.float32)
    return maps * (rng.random(maps.shape) >= zeros)


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def spearman(a, b):
    return stats.spearmanr(a, b).statistic


def brute_force(maps, ensemble):
    """One sequence, model and pair at a time."""
    models, n = maps.shape[:2]
    flat = maps.reshape(models, n, -1).astype(np.float64)
    result = {name: np.zeros(n) for name in METRICS}
    result |= {name: np.zeros((models, n)) for name in TO_ENSEMBLE + TO_OTHERS}
    for j in range(n):
        vectors, target = flat[:, j], ensemble[j].ravel().astype(np.float64)
        by_position = [np.mean((column - column.mean()) ** 2) for column in vectors.T]
        result["Std"][j] = np.sqrt(np.sum(by_position))
        pairs = list(itertools.combinations(vectors, 2))
        result["Cosine"][j] = np.mean([cosine(a, b) for a, b in pairs])
        result["Spearman"][j] = np.mean([spearman(a, b) for a, b in pairs])
        for i, own in enumerate(vectors):
            others = np.delete(vectors, i, axis=0).mean(axis=0)
            result["RMSE_to_ensemble"][i, j] = np.sqrt(np.mean((own - target) ** 2))
            result["Cosine_to_ensemble"][i, j] = cosine(own, target)
            result["Spearman_to_ensemble"][i, j] = spearman(own, target)
            result["RMSE_to_others"][i, j] = np.sqrt(np.mean((own - others) ** 2))
            result["Cosine_to_others"][i, j] = cosine(own, others)
            result["Spearman_to_others"][i, j] = spearman(own, others)
    return result


@pytest.mark.parametrize("block", [1, 300, module.BLOCK])
@pytest.mark.parametrize(("models", "zeros"), [(2, 0.0), (5, 0.0), (4, 0.7)])
def test_every_number_equals_brute_force(monkeypatch, block, models, zeros):
    monkeypatch.setattr(module, "BLOCK", block)
    maps = random_maps(models, 6, zeros=zeros)
    ensemble = maps.mean(axis=0)
    expected = brute_force(maps, ensemble)
    got = agreement(maps, ensemble, members=True)
    assert set(got) == {*METRICS, *TO_ENSEMBLE, *TO_OTHERS}
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_only_what_is_asked_for():
    maps = random_maps(3, 4)
    assert set(agreement(maps)) == set(METRICS)
    assert set(agreement(maps, maps[0])) == {*METRICS, *TO_ENSEMBLE}


def test_models_that_agree_and_models_that_oppose_each_other():
    one = random_maps(1, 5)
    same = agreement(np.repeat(one, 4, axis=0), one[0], members=True)
    for name, values in same.items():
        wanted = 0 if name == "Std" or name.startswith("RMSE") else 1
        np.testing.assert_allclose(values, wanted, atol=1e-12)
    opposed = agreement(np.concatenate([one, -one]))
    np.testing.assert_allclose(opposed["Cosine"], -1, rtol=1e-12)
    np.testing.assert_allclose(opposed["Spearman"], -1, rtol=1e-12)


def test_spread_and_distance_are_the_same_variance():
    """The mean squared distance from the average is the variance that the std sums up."""
    maps = random_maps(6, 8)
    got = agreement(maps, maps.mean(axis=0, dtype=np.float64))
    numbers = maps[0, 0].size
    np.testing.assert_allclose(
        numbers * (got["RMSE_to_ensemble"] ** 2).mean(axis=0), got["Std"] ** 2, rtol=1e-9
    )


def test_known_noise_gives_its_spread():
    """Independent noise of std 0.3 around one map: the variance expected with ddof 0."""
    models, n, length, noise = 5, 400, 7, 0.3
    rng = np.random.default_rng(3)
    signal = rng.normal(size=(n, length, 4))
    maps = signal + noise * rng.normal(size=(models, n, length, 4))
    got = agreement(maps, signal)
    expected = noise**2 * length * 4 * (models - 1) / models
    assert (got["Std"] ** 2).mean() == pytest.approx(expected, rel=0.03)
    assert (got["RMSE_to_ensemble"] ** 2).mean() == pytest.approx(noise**2, rel=0.03)


@given(
    seed=st.integers(0, 1000),
    scales=st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3),
)
def test_directions_do_not_depend_on_scale_nor_ranks_on_any_rising_function(seed, scales):
    maps = random_maps(3, 2, seed).astype(np.float64)
    scaled = maps * np.reshape(scales, (3, 1, 1, 1))
    before, after = agreement(maps, maps[0]), agreement(scaled, maps[0])
    raised = agreement(np.exp(maps), maps[0])
    for name in ("Cosine", "Cosine_to_ensemble"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-12)
    for name in ("Spearman", "Spearman_to_ensemble"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(raised[name], before[name], rtol=1e-9, atol=1e-12)


def test_maps_too_small_to_be_squared_still_have_a_direction():
    maps = random_maps(3, 2)
    tiny = maps.astype(np.float64) * 1e-200
    np.testing.assert_allclose(agreement(tiny)["Cosine"], agreement(maps)["Cosine"], rtol=1e-6)


def test_zero_maps_have_a_spread_but_no_direction():
    """Of sequence 0 one map is zero, of 1 all but one, of 2 all."""
    maps = random_maps(3, 4)
    maps[0, 0] = maps[:2, 1] = maps[:, 2] = 0
    got = agreement(maps, maps.mean(axis=0), members=True)
    rest = brute_force(maps[1:, [0, 3]], maps.mean(axis=0)[[0, 3]])
    for name, function in (("Cosine", cosine), ("Spearman", spearman)):
        # The pair that is left, none, none; all three pairs.
        assert got[name][0] == pytest.approx(rest[name][0], rel=1e-6)
        np.testing.assert_array_equal(np.isnan(got[name]), [False, True, True, False])
        to_ensemble = got[f"{name}_to_ensemble"]
        np.testing.assert_array_equal(
            np.isnan(to_ensemble),
            [[True, True, True, False], [False, True, True, False], [False, False, True, False]],
        )
        others = maps[:2, 0].mean(axis=0).ravel()
        own = got[f"{name}_to_others"][2, 0]
        assert own == pytest.approx(function(maps[2, 0].ravel(), others), rel=1e-6)
        # The others of the one that is not zero are.
        assert np.isnan(got[f"{name}_to_others"][2, 1])
    assert got["Std"][2] == 0
    np.testing.assert_array_equal(got["RMSE_to_ensemble"][:, 2], 0)
    assert np.isfinite(got["Std"]).all()


def test_the_average_of_others_has_no_rounding_errors_where_they_are_zero():
    """A difference of sums would leave some there, and ranks would follow them."""
    maps = random_maps(6, 3, zeros=0.8).astype(np.float32) * np.float32(0.1)
    maps[0] *= 1e9
    got = agreement(maps, members=True)["Spearman_to_others"]
    others = maps[1:].sum(axis=0, dtype=np.float64)
    for j in range(3):
        expected = spearman(maps[0, j].ravel(), others[j].ravel())
        assert got[0, j] == pytest.approx(expected, rel=1e-9)


def test_a_single_model_has_no_pairs():
    got = agreement(random_maps(1, 3), random_maps(1, 3, seed=1)[0])
    assert np.isnan(got["Cosine"]).all()
    assert np.isnan(got["Spearman"]).all()
    np.testing.assert_array_equal(got["Std"], 0)
    assert np.isfinite(got["RMSE_to_ensemble"]).all()
