"""How well the ensemble's std is predicted, by the share of training data."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.sweeps import FIDELITY, plot_sweep


def draw(given: Inputs) -> Figure:
    """The figure of a summary."""
    return plot_fidelity_vs_proportion(given.table(), given.units)


def plot_fidelity_vs_proportion(summary: pd.DataFrame, units: str) -> Figure:
    """How well students predict the ensemble's std against the share of training data.

    Lines, bands and slices are those of :func:`degu.plots.sweeps.plot_sweep`. The squared error is
    given for population stds (ddof 0, which students learn) and for sample stds (ddof 1).

    Args:
        summary: ``summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if no augmentation and ensemble size has two proportions, or without students.
    """
    return plot_sweep(summary, units, "proportion", FIDELITY)
