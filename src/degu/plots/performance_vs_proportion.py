"""How well activity is predicted, by the share of training data."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.sweeps import PERFORMANCE, plot_sweep


def draw(given: Inputs) -> Figure:
    """The figure of a summary."""
    return plot_performance_vs_proportion(given.table(), given.units)


def plot_performance_vs_proportion(summary: pd.DataFrame, units: str) -> Figure:
    """Test performance of activity against the share of training data.

    Lines, bands and slices are those of :func:`degu.plots.sweeps.plot_sweep`.

    Args:
        summary: ``summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if no augmentation and ensemble size has two proportions.
    """
    return plot_sweep(summary, units, "proportion", PERFORMANCE)
