"""Summaries of made-up studies, and what a figure shows of one.

Summaries have as many rows as real ones, with values of their order.
"""

import itertools
import zlib

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from scipy import stats

from degu.io.summary import tidy
from degu.plots.catalogue import FIGURES, drawer
from degu.plots.inputs import Inputs
from degu.plots.series import SERIES

COLORS = {name: look.color for name, look in SERIES.items()}
MARKERS = {name: look.marker for name, look in SERIES.items()}
LINES = {name: look.line for name, look in SERIES.items()}
LABELS = {name: look.label for name, look in SERIES.items()}

BOTH = ("std", "logvar")
SHIFTS = ("none", "small", "moderate", "dinucleotide", "large")
VARIANTS = tuple(
    mode + suffix for mode in ("random", "mutagenesis", "evoaug") for suffix in ("", "_append")
)
PROPORTIONS = (0.1, 0.25, 0.5, 0.75, 1.0)
SIZES = (2, 3, 4, 5, 10, 15, 20, 25)
GRID = tuple(
    dict.fromkeys(
        [("standard", 1.0, size) for size in SIZES]
        + [(name, p, 10) for name in ("standard", "evoaug") for p in PROPORTIONS]
    )
)
ONE = (("standard", 1.0, 5),)


def make_summary(
    arms=GRID,
    targets=("Dev", "Hk"),
    kinds=BOTH,
    students=10,
    dynamic=None,
    shifts=(),
    extra_teachers=0,
    seed=0,
):
    """The summary of a study.

    Every row has a value of its own, so that a figure with a row too many or too few is off.

    Args:
        arms: (augmentation, proportion, size), in the order of the summary.
        kinds: students' uncertainties; none for a study without students.
        students: replicates of each kind.
        dynamic: arm to the variants that were trained for it, with the first of the kinds.
        shifts: sets of sequences that every arm's models predict.
        extra_teachers: members of each pool beyond its largest ensemble.
    """
    rng = np.random.default_rng(seed)
    rows = []

    def add(identity, head, metric, value, **more):
        row = {**identity, **more, "head": head, "metric": metric}
        rows.append(row | {"value": value + rng.normal(0, 0.004)})

    def level(target, proportion):
        bonus = (zlib.crc32(target.encode()) % 10) / 100
        return 0.6 + bonus + 0.08 * np.log10(proportion)

    def activity(identity, quality):
        for metric, factor in (("Pearson", 1), ("Spearman", 0.96)):
            add(identity, "mean", metric, factor * quality)
        add(identity, "mean", "MSE", 2.2 * (1 - quality**2))

    def fidelity(identity, proportion, size):
        quality = 0.85 - 0.4 / size + 0.18 * np.log10(proportion)
        add(identity, "std", "Pearson", quality)
        add(identity, "std", "Spearman", 0.97 * quality)
        for ddof in (0, 1):
            error = 0.02 + 0.03 / size
            add(identity, "std", "MSE", error * (size / (size - 1)) ** ddof, ddof=ddof)

    def stages(augmentation):
        return ("", "aug") if augmentation == "evoaug" else ("",)

    pools = {}
    for augmentation, proportion, size in arms:
        pools[augmentation, proportion] = max(size, pools.get((augmentation, proportion), 0))
    for ((augmentation, proportion), size), target in itertools.product(pools.items(), targets):
        gain = 0.03 * (augmentation == "evoaug")
        for member in range(1, size + extra_teachers + 1):
            for stage in stages(augmentation):
                identity = {"role": "teacher", "augmentation": augmentation, "member": member}
                identity |= {"proportion": proportion, "target": target, "stage": stage or None}
                activity(identity, level(target, proportion) + gain - 0.02 * (stage == "aug"))
    for (augmentation, proportion, size), target in itertools.product(arms, targets):
        arm = {"augmentation": augmentation, "proportion": proportion, "size": size}
        arm |= {"target": target}
        best = level(target, proportion) + 0.05 * (1 - 1 / size) + 0.01 * (augmentation == "evoaug")
        ensemble = arm | {"role": "ensemble"}
        activity(ensemble, best)
        for ddof in (0, 1):
            spread = 0.4 * np.sqrt((size - 1) / size) ** (1 - ddof)
            add(ensemble, "std", "Mean", spread, ddof=ddof)
        variants = (dynamic or {}).get((augmentation, proportion, size), ())
        plain = itertools.product(kinds, ("",), stages(augmentation))
        trained = itertools.product(kinds[:1], variants, ("", "aug"))
        for kind, variant, stage in (*plain, *trained):
            for member in range(1, students + 1):
                student = arm | {"role": "student", "uncertainty": kind, "member": member}
                student |= {"variant": variant or None, "stage": stage or None}
                activity(student, best - 0.01 - 0.03 * (stage == "aug") + 0.004 * len(variant) / 9)
                fidelity(student, proportion, size)
        for number, shift in enumerate(shifts):
            spread = 0.4 + 0.1 * number

            def predicted(identity, centre=number, shift=shift):
                for metric, value in (("Mean", 0.5), ("Q05", -1), ("Q50", 0.4), ("Q95", 2)):
                    add(identity, "mean", metric, value - 0.1 * centre, shift=shift)

            predicted(ensemble)
            for ddof in (0, 1):
                add(ensemble, "std", "Mean", spread * (1 + 0.05 * ddof), shift=shift, ddof=ddof)
            for member in range(1, size + 1):
                teacher = arm | {"role": "teacher", "member": member}
                predicted(teacher)
                for ddof in (0, 1):
                    value = (0.13 - 0.01 * number) * (1 + 0.05 * ddof)
                    add(teacher, "mean", "MSE_to_ensemble", value, shift=shift, ddof=ddof)
            for kind, member in itertools.product(kinds, range(1, students + 1)):
                student = arm | {"role": "student", "uncertainty": kind, "member": member}
                predicted(student)
                add(student, "mean", "MSE_to_ensemble", 0.05 + 0.004 * number, shift=shift)
                fidelity(student | {"shift": shift}, proportion, size)
                for ddof in (0, 1):
                    value = 0.95 * spread * (1 + 0.05 * ddof)
                    add(student, "std", "Mean", value, shift=shift, ddof=ddof)
    for target in targets:
        add({"role": "assay", "target": target}, "mean", "Mean", 0.5)
    return tidy(rows)


class Table:
    """Looks values up in a summary by their whole identity; what is not named is blank."""

    KEYS = (
        *("role", "augmentation", "proportion", "size", "stage", "variant", "uncertainty"),
        *("shift", "target", "head", "ddof", "metric"),
    )

    def __init__(self, summary):
        self.values = {}
        for row in summary.to_dict("records"):
            key = tuple(None if pd.isna(row[name]) else row[name] for name in self.KEYS)
            self.values.setdefault(key, []).append(row["value"])

    def __call__(self, members=None, **identity):
        """The values in the order of members, or of the first members alone."""
        assert not set(identity) - set(self.KEYS)
        return self.values[tuple(identity.get(name) for name in self.KEYS)][:members]

    def series(self, name, arm, **identity):
        """Final values of a series (``teacher``, ``student std``, ...) in an arm."""
        augmentation, proportion, size = arm
        role, _, kind = name.partition(" ")
        identity |= {"role": role, "augmentation": augmentation, "proportion": proportion}
        if role == "teacher":
            return self(members=size, **identity)
        return self(size=size, uncertainty=kind or None, **identity)


class Made(Inputs):
    """What a figure is drawn from, with a table in memory and units in place of files."""

    def __init__(self, table, units):
        super().__init__({"table": table, "units": units})

    @property
    def units(self):
        return self.files["units"]

    def table(self, columns=()):
        return self.files["table"]


FROM_SUMMARY = [f.name for f in FIGURES.values() if f.source in ("summary", "shift_table")]
"""Figures that are drawn from a table with the columns of the summary."""


def draw_summary(name, summary, units):
    """A figure of the catalogue from a summary."""
    return drawer(FIGURES[name].draw)(Made(summary, units))


def t_interval(values):
    """95% t-interval of the mean, by SciPy."""
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


def curves(axis):
    """Lines with marks, as {(colour, marker, line, hollow): (x, y)}; no two may look the same."""
    found = {}
    for line in axis.lines:
        if line.get_marker() in ("None", "", None) or line.get_markersize() < 3:
            continue
        hollow = to_hex(line.get_markerfacecolor()) != to_hex(line.get_color())
        key = (to_hex(line.get_color()), line.get_marker(), line.get_linestyle(), hollow)
        assert key not in found
        found[key] = (list(line.get_xdata()), list(line.get_ydata()))
    return found


def bands(axis):
    """Filled bands, as a list of (colour, {x: (low, high)})."""
    found = []
    for collection in axis.collections:
        if isinstance(collection, PolyCollection):
            edges = {}
            for x, y in collection.get_paths()[0].vertices:
                low, high = edges.get(x, (y, y))
                edges[x] = (min(low, y), max(high, y))
            found.append((to_hex(collection.get_facecolor()[0][:3]), edges))
    return found


def models(axis, horizontal):
    """Marks of means, as {(place, colour, hollow): (mean, (low, high) or None, single values)}."""

    def split(x, y):
        return (y, x) if horizontal else (x, y)

    means, singles, bars = {}, {}, {}
    for line in axis.lines:
        places, values = split(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        color = to_hex(line.get_color())
        if line.get_marker() in ("|", "_", "None", ""):
            continue  # caps of bars, lines
        hollow = to_hex(line.get_markerfacecolor(), keep_alpha=True) in ("#ffffffff", "#00000000")
        key = (round(float(places[0]), 6), color, hollow)
        (singles if line.get_markersize() < 3 else means)[key] = list(values)
    for collection in axis.collections:
        if isinstance(collection, LineCollection):
            ((start, end),) = collection.get_segments()
            (place, low), (_, high) = split(*start), split(*end)
            color = to_hex(collection.get_color()[0])
            bars.setdefault((round(float(place), 6), color), []).append((low, high))
    found = {}
    for (place, color, hollow), (mean,) in means.items():
        own = bars.get((place, color), [None])
        assert len(own) == 1
        single = singles.get((place, color, hollow), [mean])
        found[place, color, hollow] = (mean, own[0], single)
    return found


def legend_labels(figure):
    """Entries of a figure's legend."""
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]
