"""Uncertainty on shifted sequences: how large it is, and whether it tells them from originals."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.panels import (
    add_legend,
    draw_models,
    is_leftmost,
    series_handle,
    series_in,
    shifts_in,
    target_panels,
)
from degu.plots.style import RC, with_units
from degu.plots.tables import targets_of
from degu.plots.uncertainty import read_scores


def draw(given: Inputs) -> Figure:
    """A column a target: mean epistemic std above, its AUROC against the originals below."""
    rows = read_scores(given)
    rows = rows[(rows["variance"] == "epistemic") & (rows["shift"] != "")]
    targets, kinds = targets_of(rows), shifts_in(rows["shift"])
    names = series_in(rows)
    measures = (
        ("Mean_std", with_units("mean epistemic std", given.units)),
        ("AUROC_shift", "AUROC of std,\nshifted against original"),
    )
    apart = np.linspace(-0.3, 0.3, len(names)) if len(names) > 1 else [0.0]
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(measures), row_height=1.8)
        for panels, (metric, label) in zip(axes, measures, strict=True):
            for axis, target in zip(panels, targets, strict=True):
                here = rows[(rows["metric"] == metric) & (rows["target"] == target)]
                for name, offset in zip(names, apart, strict=True):
                    for place, kind in enumerate(kinds):
                        own = here[(here["series"] == name) & (here["shift"] == kind)]
                        draw_models(axis, place + offset, own, name)
                if metric == "AUROC_shift":
                    axis.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
                else:
                    axis.set_ylim(0, 1.05 * here["value"].max())
                axis.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right")
                axis.set_xlim(-0.5, len(kinds) - 0.5)
                if is_leftmost(axis):
                    axis.set_ylabel(label)
        for axis in axes[-1]:
            axis.set_xlabel("shift of the test sequences")
        figure.suptitle(given.arm_name)
        add_legend(figure, [series_handle(rows, name) for name in names])
    return figure
