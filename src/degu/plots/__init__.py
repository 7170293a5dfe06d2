"""Figures, one idea a module; each drawn from tables, never from typed-in values."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure

from degu.plots.attribution import plot_attribution, plot_attribution_bins, plot_truth
from degu.plots.augmentation import plot_dynamic_augmentation, plot_evoaug
from degu.plots.performance import plot_performance
from degu.plots.shifts import plot_shift
from degu.plots.sweeps import (
    plot_fidelity_vs_proportion,
    plot_fidelity_vs_size,
    plot_performance_vs_proportion,
    plot_performance_vs_size,
)

FIGURES: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "performance": lambda summary, units: plot_performance(summary),
    "performance_vs_proportion": plot_performance_vs_proportion,
    "fidelity_vs_proportion": plot_fidelity_vs_proportion,
    "performance_vs_size": plot_performance_vs_size,
    "fidelity_vs_size": plot_fidelity_vs_size,
    "evoaug": lambda summary, units: plot_evoaug(summary),
    "dynamic_augmentation": lambda summary, units: plot_dynamic_augmentation(summary),
    "shift": plot_shift,
}
"""Figures drawn from the summary alone: file name to function of (summary, units of the assay)."""

ATTRIBUTION_FIGURES: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "attribution": plot_attribution,
    "attribution_bins": plot_attribution_bins,
    "attribution_truth": lambda summary, units: plot_truth(summary),
}
"""Likewise those drawn from ``attribution_summary.csv`` or the table of one arm."""
