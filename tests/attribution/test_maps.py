"""Files of maps: what they hold, what they refuse, and what a map says of a position."""

import json

import h5py
import numpy as np
import pytest
from conftest import run_python
from made_arm import (
    DATASET_SHA256,
    GROUPS,
    LENGTH,
    SEQUENCES_SHA256,
    TARGETS,
    TOP_N,
    N,
    make_card,
    make_head,
    make_sequences,
)

from degu.attribution.maps import (
    HeadMaps,
    export_maps,
    importance,
    read_maps,
    read_stack,
    write_maps,
)
from degu.attribution.methods import METHODS, Method, registered
from degu.attribution.names import distance_name, map_name, member_name, stdev_name
from degu.errors import InputError

SHAPE = (N, LENGTH, 4)


def make_maps(kinds=("mean",), method="saliency", seed=0, **more):
    rng = np.random.default_rng(seed)
    return {t: {kind: make_head(rng, method, **more) for kind in kinds} for t in TARGETS}


@pytest.fixture
def write(tmp_path):
    """Function that writes a file of maps; returns its path and what is in it."""

    def write(method="saliency", kinds=("mean",), hypothetical=False, maps=None, **card):
        maps = maps or make_maps(kinds, method, hypothetical=hypothetical)
        path = tmp_path / f"1_{method}.h5"
        write_maps(
            path,
            maps,
            make_card(kinds=kinds, **card),
            method=method,
            sequences_sha256=SEQUENCES_SHA256,
        )
        return path, maps

    return write


def test_names_are_those_that_the_design_promises():
    assert member_name(3, "shap") == "3_shap.h5"
    name = map_name(3, 1000, "Dev", "mean", "shap_dinuc_shuffle")
    assert name == "3_top1000_Dev-mean_shap_dinuc_shuffle.npy"
    assert map_name("avg", 500, "Hk", "std", "saliency") == "avg_top500_Hk-std_saliency.npy"
    assert distance_name(3, 1000, "Dev", "ism") == "3_top1000_Dev_ism_euclidean_dist.npy"
    assert stdev_name(1000, "Dev", "shap") == "top1000_Dev_shap_stdev.npy"


def test_names_may_be_patterns():
    pattern = map_name("{ix}", 10, "Dev", "{uncertainty}", "{method}")
    filled = pattern.format(ix=2, uncertainty="logvar", method="ism")
    assert filled == map_name(2, 10, "Dev", "logvar", "ism") == "2_top10_Dev-logvar_ism.npy"


def same(a, b):
    for left, right in zip(a, b, strict=True):
        if right is None:
            assert left is None
        else:
            assert left.dtype == np.float32
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("method", "kinds", "hypothetical"),
    [("saliency", ("mean",), False), ("shap", ("mean", "logvar"), True)],
)
def test_maps_come_back_as_they_were(write, method, kinds, hypothetical):
    path, maps = write(method, kinds, hypothetical)
    again, card = read_maps(path, method=method, sequences_sha256=SEQUENCES_SHA256, member=1)
    assert list(again) == list(TARGETS)
    for target in TARGETS:
        assert list(again[target]) == list(kinds)
        for kind in kinds:
            same(again[target][kind], maps[target][kind])
    assert card == make_card(kinds=kinds)


def test_a_file_as_plain_h5py_sees_it(write):
    path, maps = write("shap", ("mean", "std"))
    with h5py.File(path) as file:
        assert set(file) == set(TARGETS)
        assert set(file["Dev"]) == {"mean", "std"}
        assert set(file["Dev/mean"]) == {"maps", "prediction", "residual"}
        assert file["Dev/mean/maps"].shape == SHAPE
        assert file["Dev/mean/maps"].dtype == np.float32
        np.testing.assert_array_equal(file["Hk/std/maps"][:], maps["Hk"]["std"].maps)
        assert file.attrs["method"] == "shap"
        assert file.attrs["sequences_sha256"] == SEQUENCES_SHA256
        assert json.loads(file.attrs["degu_dataset_sha256"]) == DATASET_SHA256


def test_equal_maps_make_equal_files(write):
    path, maps = write()
    before = path.read_bytes()
    write(maps=maps)
    assert path.read_bytes() == before


def test_some_targets_and_heads(write):
    path, maps = write(kinds=("mean", "std"))
    some, _ = read_maps(path, targets=["Dev"], heads=["std"])
    assert {target: list(kinds) for target, kinds in some.items()} == {"Dev": ["std"]}
    same(some["Dev"]["std"], maps["Dev"]["std"])
    assert read_maps(path, targets=()) == ({}, make_card(kinds=("mean", "std")))
    # A file of the mean alone is whole too, unless more is asked for.
    with h5py.File(path, "r+") as file:
        del file["Hk/std"]
    assert list(read_maps(path)[0]["Hk"]) == ["mean"]
    with pytest.raises(InputError, match=r"1_saliency\.h5 has no maps of Hk-std; delete it"):
        read_maps(path, heads=["mean", "std"])
    with pytest.raises(InputError, match="has no maps of Leaf; delete it"):
        read_maps(path, targets=["Leaf"])
    with h5py.File(path, "r+") as file:
        del file["Hk"]
    with pytest.raises(InputError, match="has no maps of Hk; delete it"):
        read_maps(path)


def test_files_of_something_else_are_refused(write):
    path, _ = write()
    wrong = [
        ({"method": "shap"}, "holds maps by saliency and not by shap; delete it"),
        ({"sequences_sha256": "6" * 64}, "holds maps of other sequences than those that are"),
        ({"member": 2}, "has member 1, where 2 is needed"),
        ({"role": "student"}, "has role 'teacher', where 'student' is needed"),
    ]
    for expected, words in wrong:
        with pytest.raises(InputError, match=words) as error:
            read_maps(path, **expected)
        assert str(error.value).startswith(str(path))
    for name in ("method", "sequences_sha256"):
        write()
        with h5py.File(path, "r+") as file:
            del file.attrs[name]
        with pytest.raises(InputError, match="is not a file of attribution maps; delete it"):
            read_maps(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["degu_heads"]
    with pytest.raises(InputError, match="carries no card"):
        read_maps(path)
    with pytest.raises(InputError, match=r"2_saliency\.h5 does not exist"):
        read_maps(path.with_name("2_saliency.h5"))


def test_no_truncated_file_is_taken_for_a_whole_one(write):
    """Whatever the length; what is read must be what was written."""
    path, _ = write("shap")
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"1_shap\.h5") as error:
            read_maps(path)
        assert str(error.value).endswith(("again.", "workflow."))


def test_a_damaged_chunk_is_noticed(write):
    path, maps = write()
    with h5py.File(path) as file:
        chunk = file["Dev/mean/maps"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(InputError, match="is not as it was written"):
        read_maps(path)
    with h5py.File(path, "r+"):
        pass  # drops the seal
    with pytest.raises(InputError, match="Dev is not whole; delete it"):
        read_maps(path)
    same(read_maps(path, targets=["Hk"])[0]["Hk"]["mean"], maps["Hk"]["mean"])


@pytest.mark.parametrize("field", ["maps", "prediction", "residual", "hypothetical"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(write, field, value):
    maps = make_maps(method="shap", hypothetical=True)
    getattr(maps["Dev"]["mean"], field).flat[5] = value
    path, _ = write("shap", maps=maps)
    with pytest.raises(InputError, match=f"Dev holds {field} that is not finite; delete") as error:
        read_maps(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"maps": np.zeros((N, LENGTH))},
        {"maps": np.zeros((N, LENGTH, 5))},
        {"prediction": np.zeros(N - 1)},
        {"residual": np.zeros((N, 2))},
        {"hypothetical": np.zeros((N, LENGTH - 1, 4))},
    ],
    ids=lambda changes: f"{next(iter(changes))}-{next(iter(changes.values())).shape}",
)
def test_arrays_that_do_not_fit_each_other_are_refused(write, changes):
    maps = make_maps(method="shap")
    maps["Dev"]["mean"] = maps["Dev"]["mean"]._replace(**changes)
    path, _ = write("shap", maps=maps)
    with pytest.raises(InputError, match="Dev has arrays that do not fit each other"):
        read_maps(path)


def test_a_head_without_its_maps_is_not_whole(write):
    for key in ("maps", "prediction"):
        path, _ = write()
        with h5py.File(path, "r+") as file:
            del file[f"Dev/mean/{key}"]
        with pytest.raises(InputError, match="Dev is not whole"):
            read_maps(path)


def test_unknown_methods_are_refused(write, tmp_path):
    with pytest.raises(
        InputError, match="no attribution method 'grad'; use one of saliency, shap,"
    ):
        write("grad")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no attribution method 'grad'"):
        importance(np.zeros(SHAPE), np.zeros(SHAPE), "grad")


def test_a_stack_of_models(tmp_path):
    paths, every = [tmp_path / f"{i}.h5" for i in (3, 1)], []
    for i, path in enumerate(paths):
        every.append(make_maps(method="shap", seed=i, hypothetical=True))
        write_maps(path, every[-1], make_card(), method="shap", sequences_sha256=SEQUENCES_SHA256)
    stack = read_stack(paths, "Dev", "mean", SHAPE, method="shap")
    for name, values in stack._asdict().items():
        expected = np.stack([getattr(maps["Dev"]["mean"], name) for maps in every])
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, expected)
    shorter = (N, LENGTH - 1, 4)
    with pytest.raises(InputError, match=r"3\.h5: Dev has maps of shape \(8, 9, 4\), where \(8, 8"):
        read_stack(paths, "Dev", "mean", shorter)


def test_exported_maps_are_those_of_the_most_active_sequences(tmp_path):
    maps, sequences = make_maps(("mean", "std")), make_sequences()
    export_maps(tmp_path, maps, sequences, 4, "saliency")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"4_top{TOP_N}_{target}-{kind}_saliency.npy"
        for target in TARGETS
        for kind in ("mean", "std")
    }
    exported = np.load(tmp_path / "4_top5_Dev-std_saliency.npy")
    assert exported.dtype == np.float32
    np.testing.assert_array_equal(exported, maps["Dev"]["std"].maps[GROUPS["top5"]])


# Importance


@pytest.mark.parametrize("method", METHODS)
def test_importance_position_by_position(method):
    x = make_sequences().targets["Dev"].x
    maps = np.random.default_rng(0).normal(size=SHAPE)
    got = importance(maps, x, method)
    assert got.shape == (N, LENGTH)
    unknown = 0
    for i, j in np.ndindex(N, LENGTH):
        there = np.flatnonzero(x[i, j])
        if not len(there):
            expected, unknown = 0, unknown + 1
        elif method.startswith("shap"):
            expected = sum(maps[i, j])
        else:
            expected = maps[i, j, there[0]] - sum(maps[i, j]) / 4
        assert got[i, j] == pytest.approx(expected, abs=1e-12)
    assert unknown == 1
    several = importance(np.stack([maps, 2 * maps]), x, method)
    np.testing.assert_allclose(several, [got, 2 * got])


def test_importance_of_mutations_is_what_they_cost():
    """A base whose every change lowers the prediction by 1 is worth 3/4 above the average base."""
    x = np.array([[[1, 0, 0, 0]]])
    assert importance(np.array([[[0.0, -1, -1, -1]]]), x, "ism") == 0.75
    # A gradient is the same whatever is added to all four bases.
    gradient = np.array([[[2.0, -1, 0, 3]]])
    assert importance(gradient, x, "saliency") == importance(gradient + 7, x, "saliency") == 1


def test_a_method_says_itself_how_importance_is_taken():
    """Integrated gradients add up: of 3, -1, 0 and 0 at a position the prediction rests on 2."""
    x, maps = np.array([[[0, 1, 0, 0]]]), np.array([[[3.0, -1, 0, 0]]])
    for rule, expected in (("sum", 2.0), ("observed", -1.5)):
        with registered(Method("integrated", "integrated", "none:none", rule)):
            assert importance(maps, x, "integrated") == expected
    with pytest.raises(InputError, match="no attribution method 'integrated'"):
        importance(maps, x, "integrated")


def test_maps_of_a_method_that_is_not_registered_any_more(tmp_path):
    path = tmp_path / "1.h5"
    with registered(Method("integrated", "integrated", "none:none", "sum")):
        of = {"method": "integrated", "sequences_sha256": SEQUENCES_SHA256}
        write_maps(path, make_maps(), make_card(), **of)
        read_maps(path, **of)
    with pytest.raises(
        InputError, match=r"1\.h5 holds maps by integrated, which is not one of sal"
    ):
        read_maps(path)


def test_maps_must_fit_the_sequences():
    with pytest.raises(ValueError, match="do not fit sequences"):
        importance(np.zeros(SHAPE), np.zeros((1, LENGTH, 4)), "shap")


def test_a_head_may_have_maps_and_predictions_alone():
    assert HeadMaps(np.zeros(SHAPE), np.zeros(N))[2:] == (None, None)


def test_no_analysis_waits_for_tensorflow(tmp_path):
    code = (
        "import sys\n"
        "import degu.attribution.analysis, degu.attribution.selection\n"
        "print({'keras', 'tensorflow', 'snakemake'} & set(sys.modules))"
    )
    finished = run_python(code, cwd=tmp_path)
    assert finished.stdout == "set()\n", finished.stderr
