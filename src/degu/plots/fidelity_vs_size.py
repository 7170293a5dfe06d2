"""How well the ensemble's std is predicted, and how large it is, by ensemble size."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from degu.plots.inputs import Inputs
from degu.plots.sweeps import FIDELITY, SPREAD, plot_sweep


def draw(given: Inputs) -> Figure:
    """The figure of a summary."""
    return plot_fidelity_vs_size(given.table(), given.units)


def plot_fidelity_vs_size(summary: pd.DataFrame, units: str) -> Figure:
    """How well students predict the ensemble's std, and how large it is, against ensemble size.

    As :func:`degu.plots.fidelity_vs_proportion.plot_fidelity_vs_proportion`. The population std of
    n members (ddof 0) is too small by about √((n−1)/n), so that a curve over n has to be read with
    the unbiased one (ddof 1) beside.

    Args:
        summary: ``summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if no augmentation and proportion has two ensemble sizes.
    """
    return plot_sweep(summary, units, "size", (*FIDELITY, SPREAD))
