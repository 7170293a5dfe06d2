"""Members whose maps are analysed together: who they are, what is read and written of them."""

import numpy as np
import pytest
from made_arm import ARM, DATASET_SHA256, GROUPS, LENGTH, METHODS, SEQUENCES_SHA256, MadeArm, N

from degu.attribution.members import gather
from degu.errors import InputError
from degu.io.files import read_npy


@pytest.fixture
def arm(tmp_path):
    return MadeArm(tmp_path)


def test_models_are_gathered_by_role_and_kind(arm):
    groups = gather([*arm.students[::-1], *arm.teachers], arm.sequences)
    assert {key: (g.name, g.role, g.kinds) for key, g in groups.items()} == {
        None: ("teachers", "teacher", ("mean",)),
        "std": ("students-std", "student", ("mean", "std")),
        "logvar": ("students-logvar", "student", ("mean", "logvar")),
    }
    assert groups[None].numbers == [1, 2, 3]
    assert len(groups["std"]) == 2
    assert groups["std"].numbers == [2, 1]  # in the order of their files
    assert groups["logvar"].folder == arm.folder / "n3-logvar"
    assert groups[None].files["shap"] == {i: arm.path("teacher", i, "shap") for i in (1, 2, 3)}


def test_what_is_made_of_their_maps_says_whose_they_are(arm):
    groups = gather(arm.teachers + arm.students, arm.sequences)
    label = {"content": "average map", "target": "Dev", "head": "std", "method": "shap"}
    arms = {"role": "student", **ARM, "uncertainty": "std", "sequences_sha256": SEQUENCES_SHA256}
    assert groups["std"].average_label("Dev", "std", "shap") == {**label, **arms}
    of_teachers = groups[None].average_label("Dev", "std", "shap")
    assert of_teachers == {**label, **arms, "role": "teacher", "size": None, "uncertainty": None}


def test_maps_are_read_in_the_order_of_the_models(arm):
    students = gather(arm.students[::-1], arm.sequences)["std"]
    stack = students.read("Dev", "std", "shap", arm.sequences)
    wanted = arm.arrays("std", "shap", "Dev", "std")[::-1]
    np.testing.assert_array_equal(stack.maps, wanted)
    assert stack.maps.shape == (2, N, LENGTH, 4)
    np.testing.assert_array_equal(
        stack.prediction, arm.arrays("std", "shap", "Dev", "std", "prediction")[::-1]
    )
    with pytest.raises(InputError, match="has no maps of Dev-logvar"):
        students.read("Dev", "logvar", "shap", arm.sequences)


def test_files_lie_beside_the_maps(arm):
    teachers = gather(arm.teachers, arm.sequences)[None]
    rng = np.random.default_rng(0)
    top = len(GROUPS["top5"])
    average, spread, distances = (
        rng.normal(size=shape) for shape in ((top, LENGTH, 4), (top,), (3, top))
    )
    teachers.export_average(average.astype(np.float32), "Hk", "mean", "shap")
    teachers.export_spread(spread, "Hk", "shap")
    teachers.export_distances(distances, "Hk", "shap")
    folder = arm.folder / "teachers"
    label = teachers.average_label("Hk", "mean", "shap")
    stored = read_npy(folder / "avg_top5_Hk-mean_shap.npy", **label)
    np.testing.assert_array_equal(stored, average.astype(np.float32))
    stored = np.load(folder / "top5_Hk_shap_stdev.npy")
    np.testing.assert_array_equal(stored, spread.astype(np.float32))
    for i, own in enumerate(distances, 1):
        stored = np.load(folder / f"{i}_top5_Hk_shap_euclidean_dist.npy")
        np.testing.assert_array_equal(stored, own.astype(np.float32))


def test_a_model_that_is_there_twice_is_refused(arm):
    with pytest.raises(InputError, match=r"are both member 1 by saliency; name each model once"):
        gather([*arm.teachers, arm.teachers[0]], arm.sequences)


def test_every_model_needs_maps_by_every_method(arm):
    missing = [one for one in arm.teachers if one[0] != arm.path("teacher", 2, METHODS[1])]
    with pytest.raises(ValueError, match="maps by every method, in the same order"):
        gather(missing, arm.sequences)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset_sha256": "0" * 64}, f"has dataset_sha256 '{'0' * 64}', where '{DATASET_SHA256}"),
        ({"member": 7}, "has member 7, where 2"),
        ({"role": "student"}, "has role 'student', where 'teacher'"),
        ({"proportion": 1.0}, r"has proportion 1\.0, where 0\.25"),
        ({"architecture_sha256": "a"}, "has architecture_sha256 'a'"),
        ({"kinds": ("mean", "std")}, "has heads"),
    ],
)
def test_a_file_of_another_model_is_named(arm, changes, message):
    path = arm.write_one(("teacher", 2, "shap"), **{"kinds": ("mean",), **changes})
    with pytest.raises(InputError, match=message) as error:
        gather(arm.teachers, arm.sequences)
    assert str(error.value).startswith(str(path))


def test_what_is_expected_of_all_is_checked(arm):
    gather(arm.teachers, arm.sequences, architecture="deepstarr")
    with pytest.raises(InputError, match="has architecture 'deepstarr', where 'mine'"):
        gather(arm.teachers, arm.sequences, architecture="mine")


class AleatoricArm(MadeArm):
    """Whose ensemble and students have aleatoric heads."""

    @staticmethod
    def kinds(role):
        return ("mean", "aleatoric") if role == "teacher" else ("mean", "aleatoric", role)


def test_aleatoric_heads_have_maps_too(tmp_path):
    arm = AleatoricArm(tmp_path)
    groups = gather(arm.teachers + arm.students, arm.sequences)
    assert {key: (g.name, g.role, g.kinds) for key, g in groups.items()} == {
        None: ("teachers", "teacher", ("mean", "aleatoric")),
        "std": ("students-std", "student", ("mean", "aleatoric", "std")),
        "logvar": ("students-logvar", "student", ("mean", "aleatoric", "logvar")),
    }
    stack = groups["std"].read("Hk", "aleatoric", "shap", arm.sequences)
    np.testing.assert_array_equal(stack.maps, arm.arrays("std", "shap", "Hk", "aleatoric"))
    arm.write_one(("std", 2, "shap"), kinds=("mean", "std"))
    with pytest.raises(InputError, match=r"2_shap\.h5 has heads"):
        gather(arm.students, arm.sequences)
