"""Attribution maps by bins of activity."""

import numpy as np
import pytest
from map_studies import Lookup, look, make_attribution, panels_of, parts, studies
from studies import curves

from degu.plots.attribution_bins import plot_attribution_bins


@studies
def test_bins(study):
    arm, targets, methods, series = parts(study)
    summary = make_attribution(**study, bins=12)
    table = Lookup(summary)
    figure = plot_attribution_bins(summary, "AU")
    columns = {1: 1, 2: 2, 5: 3}[len(targets)]
    panels = panels_of(figure, targets, methods, [""], columns)
    assert len(figure.axes) == len(panels)
    for (target, method, _), axis in panels.items():
        drawn = {(hue, marker): line for (hue, marker, *_), line in curves(axis).items()}
        assert set(drawn) == {look(name) for name in series}
        for name in series:
            x, y = drawn[look(name)]
            assert x == list(range(1, 13))  # bin10 comes after bin9
            expected = [
                table(
                    *(name, arm),
                    **{"target": target, "method": method, "metric": "RMSE_to_ensemble"},
                    ddof=0 if name == "teacher" else None,
                    selection=f"bin{i:.0f}",
                )
                for i in x
            ]
            assert y == pytest.approx([np.mean(values) for values in expected])
            assert axis.get_ylim()[1] > max(y)
        assert axis.get_ylim()[0] == 0
    assert figure.axes[-1].get_xlabel() == "bin of measured activity"
