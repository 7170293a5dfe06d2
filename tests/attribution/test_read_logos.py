"""What logos are drawn from: the file of an arm, and the maps that it links to."""

import numpy as np
import pytest
from made_arm import ARM, LENGTH, MadeArm

from degu.attribution.analysis import evaluate_arm
from degu.errors import InputError
from degu.plots.attribution_logos import read_logos
from degu.plots.logos import plot_logos


@pytest.fixture
def arm(tmp_path):
    made = MadeArm(tmp_path)
    evaluate_arm(
        ARM,
        sequences=made.sequences,
        teachers=made.teachers,
        students=made.students,
        output=made.output,
    )
    return made


def test_rows_are_two_teachers_the_ensemble_and_a_student_of_each_kind(arm):
    logos = read_logos(arm.output, "Dev", "shap", 3)
    selection = arm.sequences.targets["Dev"]
    assert list(logos.maps) == [
        *("teacher 1", "teacher 2", "ensemble", "student std", "student logvar")
    ]
    known = selection.x[:3].any(axis=2)
    assert not known.all()
    of_teachers = [arm.maps["teacher", i, "shap"]["Dev"]["mean"].maps[:3] for i in (1, 2, 3)]
    # DeepSHAP: the sum over bases; no letter where the base is unknown.
    for row, maps in {
        "teacher 2": of_teachers[1],
        "ensemble": np.mean(of_teachers, axis=0),
        "student logvar": arm.maps["logvar", 1, "shap"]["Dev"]["mean"].maps[:3],
    }.items():
        expected = maps.sum(axis=2) * known
        np.testing.assert_allclose(logos.maps[row], expected, atol=1e-6, err_msg=row)
    assert logos.names == list(selection.id[:3])
    np.testing.assert_array_equal(logos.measured, selection.y[:3])
    np.testing.assert_array_equal(logos.mask, selection.motif_mask[:3])
    np.testing.assert_array_equal(
        logos.predictions["student std"], arm.maps["std", 1, "shap"]["Dev"]["mean"].prediction[:3]
    )
    assert "ensemble" not in logos.predictions


def test_gradients_count_at_the_base_that_is_there(arm):
    logos = read_logos(arm.output, "Hk", "saliency", 2)
    x = arm.sequences.targets["Hk"].x[:2]
    maps = arm.maps["teacher", 1, "saliency"]["Hk"]["mean"].maps[:2].astype(float)
    centred = maps - maps.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(logos.maps["teacher 1"], (centred * x).sum(axis=2), atol=1e-6)


def test_no_more_than_the_most_active_ones(arm):
    """Of eight sequences five are among the most active, the others from bins."""
    assert read_logos(arm.output, "Dev", "shap", 20).x.shape == (5, LENGTH, 4)


def test_they_can_be_drawn(arm):
    logos = read_logos(arm.output, "Dev", "shap", 2)
    figure = plot_logos(
        logos.x,
        logos.maps,
        names=logos.names,
        measured=logos.measured,
        predictions=logos.predictions,
    )
    assert len(figure.axes) == 2 * 5


def test_a_link_to_a_file_that_is_gone_is_a_sentence(arm):
    arm.path("teacher", 2, "shap").unlink()
    with pytest.raises(InputError, match=r"n3\.h5 is not a whole file .* links to is gone; "):
        read_logos(arm.output, "Dev", "shap", 2)


@pytest.mark.parametrize(("target", "method"), [("Dev", "ism"), ("Leaf", "shap")])
def test_what_the_arm_has_no_maps_of_is_a_sentence(arm, target, method):
    with pytest.raises(InputError, match=r"n3\.h5"):
        read_logos(arm.output, target, method, 2)
