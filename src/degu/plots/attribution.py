"""How alike attribution maps are, how close to their ensemble's, and how right."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from degu.errors import InputError
from degu.io.hdf5 import open_hdf5
from degu.plots.panels import (
    add_legend,
    add_title,
    draw_box,
    draw_curve,
    draw_models,
    is_leftmost,
    measure_panels,
    row_panels,
    series_handle,
    series_in,
    style_handle,
    target_panels,
)
from degu.plots.style import COLORS, LABELS, LINES, MARKERS, RC, literal
from degu.plots.tables import (
    arms_of,
    describe,
    of_arms,
    preferred,
    read_attribution,
    targets_of,
)
from degu.sweep import Arm
from degu.uncertainty import unbiased_std

METHOD_LABELS = {
    "saliency": "saliency",
    "shap": "DeepSHAP",
    "shap_dinuc_shuffle": "DeepSHAP,\nshuffles",
    "ism": "in-silico\nmutagenesis",
}
"""Methods in the order in which they are drawn, and their names."""


def method_name(method: str) -> str:
    """A method as titles name it."""
    return METHOD_LABELS[method].replace("\n", " ")


MEASURES = {
    "RMSE_to_ensemble": "RMSE to ensemble",
    "Std": "std across models",
    "Cosine": "cosine between models",
}
"""What tells how alike maps are, and its name in a figure."""
# RMSE has a number for every model, and these are what its boxes show.
_TESTS = {
    "RMSE_to_ensemble": ("welch", "paired_t"),
    "Std": ("paired_t",),
    "Cosine": ("paired_t",),
}

SCORES = ("AUROC", "AUPRC")
"""What tells how right maps are."""

# Groups of models in the file of an arm.
_GROUPS = {
    "teachers": "teacher",
    "students-std": "student std",
    "students-logvar": "student logvar",
}

FEWEST_IN_A_BOX = 5
"""Models from which on a box is drawn; of fewer their mean."""

PerSequence = Mapping[str, Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]]
"""Numbers of single sequences (n,), by target, method, measure and series."""


def plot_attribution(summary: pd.DataFrame, units: str = "") -> Figure:
    """How far maps of activity are from the teachers' mean map, and from each other.

    Three panels for each target and method, over the most active test sequences: RMSE to the mean
    of the arm's teachers, in boxes over models (quartiles, whiskers to the extremes; of fewer than
    five models their mean with its 95% t-interval); std across models; mean cosine over pairs of
    models. Filled marks are ddof 0, hollow ones ddof 1 (their mean). Below students stand the p
    value of their difference from single teachers, with ddof 1, and its effect size: Hedges' g
    (Welch's test over models; RMSE) or d_z (paired t test over sequences). Of several arms one is
    drawn (standard first, then most data, then the largest size) and named in the title.

    Args:
        summary: ``attribution_summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if no RMSE is in the summary.
    """
    rows = read_attribution(summary)
    rows = rows[(rows["head"] == "mean") & rows["metric"].isin(MEASURES)]
    drawn, title = _top_of_one_arm(rows, "RMSE of maps to the teachers' mean")
    targets, methods = targets_of(drawn), _methods_in(drawn)
    plain = drawn[drawn["comparison"] == ""]
    series = series_in(plain)
    with mpl.rc_context(RC):
        figure, axes = measure_panels(targets, len(methods), [*MEASURES.values()], row_height=1.55)
        for panels, method in zip(axes, methods, strict=True):
            for by_measure, target in zip(panels, targets, strict=True):
                here = drawn[(drawn["method"] == method) & (drawn["target"] == target)]
                for axis, measure in zip(by_measure, MEASURES, strict=True):
                    _draw_measure(axis, here[here["metric"] == measure], series, measure)
                by_measure[0].set_ylabel(_method_label(method, units))
        add_title(figure, title)
        handles = [series_handle(plain, name) for name in series]
        handles.append(style_handle("hollow: ddof 1", "ensemble", hollow=True))
        add_legend(figure, handles)
    return figure


def _draw_measure(axis: Axes, rows: pd.DataFrame, series: list[str], measure: str) -> None:
    labels = []
    for place, name in enumerate(series):
        own = rows[(rows["series"] == name) & (rows["comparison"] == "")]
        biased, unbiased = own[own["ddof"] != 1], own[own["ddof"] == 1]
        if len(biased) < FEWEST_IN_A_BOX:
            draw_models(axis, place, biased, name, apart=0.2)
        else:
            draw_box(axis, place, biased["value"].to_numpy(), name, 0.5)
        if len(unbiased):
            axis.plot(
                [place + 0.36],
                [unbiased["value"].mean()],
                MARKERS[name],
                color=COLORS[name],
                markerfacecolor="white",
                markersize=4,
                markeredgewidth=0.9,
            )
        label = _comparison(rows[rows["series"] == name], measure)
        several = rows.loc[rows["series"] == name, "member"].nunique() > 1
        labels.append(label if len(own) else "not defined" if several else "one model")
    axis.set_xticks(range(len(series)), labels, fontsize=6.5)
    axis.set_xlim(-0.55, len(series) - 0.45)
    axis.grid(axis="y", color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    values = rows.loc[rows["comparison"] == "", "value"]
    if values.empty:
        return
    low, high = min(0.0, values.min()), 1.0 if measure == "Cosine" else values.max()
    margin = 0.06 * (high - low) or 1.0
    axis.set_ylim(low - margin if low < 0 else 0, high + margin)
    axis.locator_params(axis="y", nbins=4)


def _comparison(rows: pd.DataFrame, measure: str) -> str:
    """p value and effect size of the first of the measure's tests that was made."""
    # With ddof 1 where there are two: ddof 0 favours few models, and those that are averaged.
    rows = rows.sort_values("ddof", na_position="first")
    for test in _TESTS[measure]:
        own = rows[rows["comparison"] == test].groupby("statistic")["value"].last()
        if {"p", "effect_size"} <= set(own.index):
            name = "$g$" if test == "welch" else "$d_z$"
            effect = f"{own['effect_size']:.2f}".replace("-", "−")
            return f"{p_value(own['p'])}\n{name} = {effect}"
    return ""


def p_value(p: float) -> str:
    """A p value of a figure: two digits, or one and a power of ten if it is below 0.001."""
    if p >= 0.001:
        return f"$p$ = {p:.2g}"
    if p == 0:  # below what a float holds
        return "$p$ < 1e−300"
    digit, power = f"{p:.0e}".split("e")
    return f"$p$ = {digit}e−{abs(int(power))}"


def plot_attribution_bins(summary: pd.DataFrame, units: str = "") -> Figure:
    """RMSE of maps to the teachers' mean, in quantile bins of measured activity.

    A column of panels for each target, a row for each method. Marks are means over models, with
    95% t-intervals. Of several arms one is drawn, as by :func:`plot_attribution`.

    Args:
        summary: ``attribution_summary.csv``.
        units: units of the assay.

    Raises:
        InputError: if there are no bins.
    """
    rows = read_attribution(summary)
    rows = rows[(rows["metric"] == "RMSE_to_ensemble") & (rows["comparison"] == "")]
    rows = rows[(rows["head"] == "mean") & (rows["ddof"] != 1)]
    number = rows["selection"].str.extract(r"^bin(\d+)$")[0].astype(float)
    binned = rows.assign(bin=number)[number.notna()]
    drawn, title = _of_one_arm(binned, "RMSE of maps in bins of activity")
    targets, methods, series = targets_of(drawn), _methods_in(drawn), series_in(drawn)
    with mpl.rc_context(RC):
        figure, axes = target_panels(targets, len(methods))
        for panels, method in zip(axes, methods, strict=True):
            for axis, target in zip(panels, targets, strict=True):
                here = drawn[(drawn["method"] == method) & (drawn["target"] == target)]
                for name in series:
                    draw_curve(axis, here[here["series"] == name], "bin", name)
                # Room above for half a mark.
                axis.set_ylim(0, 1.04 * axis.get_ylim()[1])
                axis.set_xticks(sorted(drawn["bin"].unique()))
                if is_leftmost(axis):
                    axis.set_ylabel(_method_label(method, units))
        for axis in axes[-1]:
            axis.set_xlabel("bin of measured activity")
        add_title(figure, f"RMSE of maps to the ensemble's: {title}")
        add_legend(figure, [series_handle(drawn, name, line=LINES[name]) for name in series])
    return figure


def plot_attribution_scatter(sequences: PerSequence, units: str = "", title: str = "") -> Figure:
    """How far single teachers' and students' maps are off, a point a sequence.

    Panels for each target and method: RMSE to the teachers' mean map, single teachers (mean over
    them) across and students (mean) upwards, then the same for the std across models. Below the
    diagonal students are closer to it, or to each other; the share of such sequences is written in.

    Args:
        sequences: by target, method, measure (``RMSE_to_ensemble``, ``Std``) and series
            (``teacher``, ``student std``, ``student logvar``) a number for each sequence (n,), as
            :func:`read_per_sequence` reads them.
        units: units of the assay.
        title: which arm and sequences.

    Raises:
        InputError: if there are no students to compare.
    """
    by_panel = [panel for by_method in sequences.values() for panel in by_method.values()]
    kinds = [
        (measure, name)
        for measure in MEASURES
        for name in LABELS
        if name != "teacher" and any({"teacher", name} <= set(p.get(measure, ())) for p in by_panel)
    ]
    if not kinds:
        raise InputError(
            "There are no maps of both teachers and students, so there is nothing to compare; "
            "run the workflow's target attribution."
        )
    targets = [*sequences]
    methods = [m for m in METHOD_LABELS if any(m in own for own in sequences.values())]
    with mpl.rc_context(RC):
        names = [MEASURES[measure] for measure, _ in kinds]
        figure, axes = measure_panels(targets, len(methods), names, row_height=1.45)
        for panels, method in zip(axes, methods, strict=True):
            for by_kind, target in zip(panels, targets, strict=True):
                for axis, (measure, name) in zip(by_kind, kinds, strict=True):
                    values = sequences[target].get(method, {}).get(measure, {})
                    if not {"teacher", name} <= set(values):
                        axis.remove()
                        continue
                    _draw_pairs(axis, values["teacher"], values[name], name)
                    axis.set_ylabel("")
                    if is_leftmost(axis):
                        axis.set_ylabel(f"students,\n{_method_label(method, units)}")
        for axis in axes[-1].flat:
            axis.set_xlabel("single teachers")
        if title:
            add_title(figure, title)
        shown = dict.fromkeys(name for _, name in kinds)
        add_legend(figure, [style_handle(LABELS[name], name) for name in shown])
    return figure


def _draw_pairs(axis: Axes, teachers: np.ndarray, students: np.ndarray, series: str) -> None:
    there = np.isfinite(teachers) & np.isfinite(students)
    teachers, students = teachers[there], students[there]
    high = 1.05 * max(teachers.max(initial=0), students.max(initial=0)) or 1.0
    axis.plot([0, high], [0, high], color="black", linewidth=0.8, zorder=1)
    axis.plot(
        teachers,
        students,
        MARKERS[series],
        color=COLORS[series],
        markersize=1.8,
        markeredgewidth=0,
        alpha=0.35,
        # A thousand points for each of many panels would make a vector file heavy.
        rasterized=True,
    )
    axis.text(
        0.04,
        0.97,
        f"{np.mean(students < teachers):.0%}\nbelow",
        transform=axis.transAxes,
        va="top",
        fontsize=7,
    )
    axis.set(xlim=(0, high), ylim=(0, high), box_aspect=1)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(nbins=2, steps=[1, 2, 5, 10]))


def read_per_sequence(path: str | os.PathLike[str]) -> PerSequence:
    """Numbers of the most active sequences from the file of an arm's maps.

    Args:
        path: ``attribution/n{size}.h5``, of :func:`degu.attribution.analysis.evaluate_arm`.

    Returns:
        By target, method, measure and series, numbers (n,) by rank: ``RMSE_to_ensemble``, the mean
        over models, and ``Std`` over them (not of a single model). Both are ddof 1: of teachers,
        who are part of the average map, the RMSE has the factor √(M/(M−1)).

    Raises:
        InputError: if the file is not whole.
    """
    found: dict[str, dict[str, dict[str, dict[str, np.ndarray]]]] = {}
    with open_hdf5(path) as file:
        try:
            for target in json.loads(file.attrs["targets"]):
                top = file[target]["rank"][:] > 0
                for method in json.loads(file.attrs["methods"]):
                    own: dict[str, dict[str, np.ndarray]] = {"RMSE_to_ensemble": {}, "Std": {}}
                    for name, series in _GROUPS.items():
                        group = file[target][method].get(name)
                        if group is None:
                            continue
                        rmse = group["rmse"][:][:, top].astype(np.float64)
                        average, m = rmse.mean(axis=0), len(rmse)
                        if series == "teacher":
                            average = unbiased_std(average, m)
                        own["RMSE_to_ensemble"][series] = average
                        if m > 1:
                            own["Std"][series] = unbiased_std(group["std"][:][top], m)
                    found.setdefault(target, {})[method] = own
        except (KeyError, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not a whole file of an arm's maps; delete it and run the workflow's "
                "target attribution again."
            ) from error
    return found


def plot_truth(summary: pd.DataFrame) -> Figure:
    """How well maps find the motifs that were planted in simulated sequences.

    Two panels for each target, AUROC and AUPRC of the size of a position's importance against the
    planted positions, a method a row, over the most active sequences that have motifs. A small mark
    is one model, a large one the mean over models, a bar its 95% t-interval; diamonds are the
    teachers' mean map. The dotted line is what a map without information has: 0.5, and the share of
    motif positions. Of several arms one is drawn, as by :func:`plot_attribution`.

    Args:
        summary: ``attribution_summary.csv``.

    Raises:
        InputError: if there are no such scores.
    """
    rows = read_attribution(summary)
    rows = rows[(rows["head"] == "mean") | (rows["role"] == "truth")]
    scores = rows[rows["metric"].isin(SCORES) & (rows["comparison"] == "")]
    drawn, title = _top_of_one_arm(scores, "AUROC against planted motifs")
    chance = rows[(rows["metric"] == "Chance_AUPRC") & rows["selection"].isin(drawn["selection"])]
    targets, methods, series = targets_of(drawn), _methods_in(drawn), series_in(drawn)
    labels = [METHOD_LABELS[method] for method in methods]
    height = 0.15 + 0.1 * len(series)
    with mpl.rc_context(RC):
        figure, axes = row_panels(targets, len(SCORES), labels, row_height=height)
        for target, panels in zip(targets, axes, strict=True):
            for metric, axis in zip(SCORES, panels, strict=True):
                own = drawn[(drawn["target"] == target) & (drawn["metric"] == metric)]
                for place, method in enumerate(methods):
                    here = own[own["method"] == method]
                    for i, name in enumerate(series):
                        offset = (i - (len(series) - 1) / 2) * 0.8 / len(series)
                        models = here[here["series"] == name]
                        draw_models(axis, place + offset, models, name, horizontal=True)
                share = chance.loc[chance["target"] == target, "value"]
                for value in [0.5] if metric == "AUROC" else share[:1]:
                    axis.axvline(value, color="black", linestyle=":", linewidth=1)
                axis.set_xlabel(metric)
        add_title(figure, title)
        chance_line = Line2D([], [], color="black", linestyle=":", linewidth=1, label="chance")
        add_legend(figure, [*(series_handle(drawn, name) for name in series), chance_line])
    return figure


def _top_of_one_arm(rows: pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
    """Rows of one arm about the most active sequences, and what they are about."""
    drawn, title = _of_one_arm(rows[rows["selection"].str.startswith("top")], what)
    number = int(drawn["selection"].iloc[0].removeprefix("top"))
    sequences = f"the {number:,} most active test sequences" if number > 1 else "one test sequence"
    return drawn, f"{title}: {sequences}"


def _of_one_arm(rows: pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
    arms = arms_of(rows)
    if not arms:
        raise InputError(
            f"The summary has no {what}, so there is nothing to draw; run the workflow's target "
            "rule attribution."
        )
    arm: Arm = preferred(arms)
    title = describe(arm.augmentation, proportion=arm.proportion, size=arm.size)
    return of_arms(rows, [arm]), title


def _methods_in(rows: pd.DataFrame) -> list[str]:
    present = set(rows["method"])
    return [method for method in METHOD_LABELS if method in present]


def _method_label(method: str, units: str) -> str:
    label = METHOD_LABELS[method].replace("\n", " ")
    return f"{label}\n({literal(units)})" if units else label
