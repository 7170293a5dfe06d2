"""Teachers, ensemble and students side by side."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu.plots.style import COLORS, LABELS, MARKERS, RC, new_figure
from degu.sweep import format_proportion

ARM = ["augmentation", "proportion", "size"]


def plot_performance(summary: pd.DataFrame, metric: str = "Pearson") -> Figure:
    """Test performance of single teachers, their ensemble and its students, arm by arm.

    A column of panels for each target: on top how well activities are predicted, below how well
    students predict the ensemble's std. A small mark is one model; bars are the mean and its
    standard deviation over models.

    Args:
        summary: ``summary.csv``.
        metric: a metric of the summary; ``Pearson`` or ``Spearman``.
    """
    rows = summary[(summary["metric"] == metric) & summary["stage"].isna()].copy()
    rows["series"] = rows["role"].where(
        rows["role"] != "student", "student " + rows["uncertainty"].astype(str)
    )
    targets = list(dict.fromkeys(rows["target"]))
    arms = rows.loc[rows["role"] == "ensemble", ARM].drop_duplicates()
    series = [s for s in LABELS if s in set(rows["series"])]
    width = max(3.5, 1.0 + len(targets) * (0.8 + 0.22 * len(series) * len(arms)))
    with mpl.rc_context(RC):
        figure = new_figure(width, 5.2)
        axes = figure.subplots(2, len(targets), squeeze=False)
        for column, target in enumerate(targets):
            for row, head in enumerate(("mean", "std")):
                panel = rows[(rows["target"] == target) & (rows["head"] == head)]
                present = [s for s in series if s in set(panel["series"])]
                _draw_arms(axes[row, column], panel, arms, present)
            axes[0, column].set_title(target)
            axes[0, column].set_ylabel(f"activity, test {metric}")
            axes[1, column].set_ylabel(f"ensemble std, test {metric}")
            axes[1, column].set_xlabel(_arm_axis(arms))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _draw_arms(axis: Axes, panel: pd.DataFrame, arms: pd.DataFrame, series: list[str]) -> None:
    step = 0.8 / max(1, len(series))
    for x, arm in enumerate(arms.itertuples(index=False)):
        pool = (panel["augmentation"] == arm.augmentation) & (panel["proportion"] == arm.proportion)
        for i, name in enumerate(series):
            own = pool & (panel["series"] == name)
            # Nested ensembles: the teachers of an arm are the first n of its pool.
            own &= panel["member"] <= arm.size if name == "teacher" else panel["size"] == arm.size
            values = panel.loc[own, "value"].to_numpy(dtype=float)
            if len(values) == 0:
                continue
            position = x + (i - (len(series) - 1) / 2) * step
            _draw_models(axis, position, values, name, label=LABELS[name] if x == 0 else None)
    axis.set_xticks(range(len(arms)), [_arm_label(arm, arms) for arm in arms.itertuples()])
    axis.set_xlim(-0.6, len(arms) - 0.4)
    axis.grid(axis="y", color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)


def _draw_models(
    axis: Axes, position: float, values: np.ndarray, name: str, label: str | None
) -> None:
    color, marker = COLORS[name], MARKERS[name]
    if len(values) > 1:
        # Fixed offsets rather than random ones: the same figure at every run.
        offsets = np.linspace(-0.06, 0.06, len(values))
        axis.plot(position + offsets, values, marker, color=color, markersize=2.5, alpha=0.5)
    axis.errorbar(
        position,
        values.mean(),
        yerr=values.std(ddof=1) if len(values) > 1 else None,
        fmt=marker,
        color=color,
        markersize=5,
        capsize=2.5,
        linewidth=1,
        label=label,
    )


def _arm_label(arm, arms: pd.DataFrame) -> str:
    parts = [f"{arm.size:.0f}"]
    if arms["proportion"].nunique() > 1:
        parts.append(format_proportion(arm.proportion))
    if arms["augmentation"].nunique() > 1:
        parts.append(arm.augmentation)
    return "\n".join(parts)


def _arm_axis(arms: pd.DataFrame) -> str:
    parts = ["ensemble size"]
    if arms["proportion"].nunique() > 1:
        parts.append("proportion of training data")
    if arms["augmentation"].nunique() > 1:
        parts.append("augmentation")
    return ", ".join(parts)
