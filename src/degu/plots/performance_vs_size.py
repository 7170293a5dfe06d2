"""How well activity is predicted, by ensemble size."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.sweeps import PERFORMANCE, plot_sweep


def draw(given: Inputs) -> Figure:
    """The figure of a summary."""
    return plot_performance_vs_size(given.table(), given.units)


def plot_performance_vs_size(summary: pd.DataFrame, units: str) -> Figure:
    """Test performance of activity against ensemble size.

    Lines, bands and slices are those of :func:`degu.plots.sweeps.plot_sweep`; the horizontal line
    is the mean of all single teachers of the pool, with its 95% t-interval.

    Args:
        summary: ``summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if no augmentation and proportion has two ensemble sizes.
    """
    return plot_sweep(summary, units, "size", PERFORMANCE)
