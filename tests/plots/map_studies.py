"""Tables of attribution of made-up studies, and what a figure shows of one."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from studies import COLORS, MARKERS

from degu.attribution.analysis import COLUMNS
from degu.io.summary import tidy

BOTH = ("std", "logvar")
METHODS = ("saliency", "shap", "shap_dinuc_shuffle", "ism")
ARM = ("standard", 1.0, 10)
SCALE = {
    "saliency": 0.02,
    "shap": 0.003,
    "shap_dinuc_shuffle": 0.004,
    "ism": 0.3,
    "integrated": 0.01,
}


def make_attribution(
    arms=(ARM,),
    targets=("Dev", "Hk"),
    methods=METHODS[:3],
    kinds=BOTH,
    students=10,
    bins=4,
    top=1000,
    truth=True,
    seed=0,
):
    """The attribution summary of a study, with the rows of real ones; no two values are alike."""
    rng = np.random.default_rng(seed)
    rows = []

    def add(identity, metric, value, **more):
        value = value * (1 + rng.normal(0, 0.04))
        rows.append({"head": "mean", **identity, "metric": metric, **more, "value": value})

    def model(identity, scale, quality, teacher):
        if teacher:
            n = identity["size"]
            for ddof in (0, 1):
                value = scale * (n / (n - 1)) ** (ddof / 2)
                add(identity, "RMSE_to_ensemble", value, ddof=ddof)
            add(identity, "Cosine_to_others", quality)
        else:
            add(identity, "RMSE_to_ensemble", 0.8 * scale)
        for metric in ("Cosine_to_ensemble", "Spearman_to_ensemble"):
            add(identity, metric, quality)
        add(identity, "Residual", 1e-6)
        add(identity, "Consistency_KLD", 1.2 * quality)
        if truth:
            add(identity, "AUROC", 0.9 * quality)
            add(identity, "AUPRC", 0.8 * quality)

    def group(identity, scale, quality, heads, count):
        for head in heads:
            own = identity | {"head": head}
            for ddof in (0, 1):
                value = 30 * scale * (count / (count - 1)) ** (ddof / 2)
                add(own, "Std", value, ddof=ddof)
            for metric in ("Cosine", "Spearman"):
                add(own, metric, quality)
            if identity["role"] == "student":
                add(own, "Consistency_KLD", 1.5)

    def comparisons(identity, metric, tests, ddofs):
        for test, ddof in itertools.product(tests, ddofs):
            row = {"metric": metric, "ddof": ddof, "comparison": test}
            for statistic, value in (("difference", -0.001), ("t", -8), ("n", 20)):
                add(identity, value=value, statistic=statistic, **row)
            p, effect = 10.0 ** rng.uniform(-9, 0), rng.normal(-2, 1)
            for statistic, value in (("p", p), ("effect_size", effect)):
                rows.append({**identity, "head": "mean", **row} | {"statistic": statistic})
                rows[-1]["value"] = value

    selections = [f"top{top}", *(f"bin{i}" for i in range(1, bins + 1))]
    for (augmentation, proportion, size), method, target, selection in itertools.product(
        arms, methods, targets, selections
    ):
        arm = {"augmentation": augmentation, "proportion": proportion, "size": size}
        arm |= {"method": method, "target": target, "selection": selection}
        scale = SCALE[method] * (1 if selection.startswith("top") else 0.5)
        add(arm | {"role": "ensemble"}, "Consistency_KLD", 1.4)
        if truth:
            add(arm | {"role": "ensemble"}, "AUROC", 0.88)
            add(arm | {"role": "ensemble"}, "AUPRC", 0.75)
        for member in range(1, size + 1):
            model(arm | {"role": "teacher", "member": member}, scale, 0.8, True)
        group(arm | {"role": "teacher"}, scale, 0.75, ["mean"], size)
        for kind in kinds:
            own = arm | {"role": "student", "uncertainty": kind}
            for member in range(1, students + 1):
                model(own | {"member": member}, scale, 0.9, False)
            if students > 1:
                group(own, 0.7 * scale, 0.88, ["mean", kind], students)
                comparisons(own, "RMSE_to_ensemble", ["welch"], (0, 1))
                comparisons(own, "Consistency_KLD", ["welch"], (None,))
                comparisons(own, "Std", ["paired_t", "wilcoxon"], (0, 1))
                comparisons(own, "Cosine", ["paired_t", "wilcoxon"], (None,))
            comparisons(own, "RMSE_to_ensemble", ["paired_t", "wilcoxon"], (0, 1))
            if truth:
                comparisons(own, "AUROC", ["paired_t", "wilcoxon"], (None,))
    if truth:
        for target, selection in itertools.product(targets, selections):
            row = {"role": "truth", "target": target, "selection": selection}
            add(row, "Chance_AUPRC", 0.12)
    return tidy(rows, COLUMNS)


class Lookup:
    """Values of a summary by identity; what is not named is blank."""

    def __init__(self, summary):
        self.keys = [name for name in COLUMNS if name not in ("member", "value")]
        self.values = {}
        for row in summary.to_dict("records"):
            key = tuple(None if pd.isna(row[name]) else row[name] for name in self.keys)
            self.values.setdefault(key, []).append(row["value"])

    def __call__(self, series, arm=ARM, **identity):
        """Values in the order of members; none if there is no such row."""
        identity = {"head": "mean", "selection": "top1000", **identity}
        if series != "truth":
            identity |= dict(zip(("augmentation", "proportion", "size"), arm, strict=True))
        role, _, kind = series.partition(" ")
        identity |= {"role": role, "uncertainty": kind or None}
        return self.values.get(tuple(identity.get(name) for name in self.keys), [])


STUDIES = {
    "both": {},
    "std": {"kinds": ("std",), "methods": METHODS[:2], "targets": ("Dev",)},
    "few": {"arms": (("evoaug", 0.25, 3),), "students": 3, "methods": METHODS[:2]},
    "pairs": {"arms": (("standard", 1.0, 2),), "students": 2, "methods": ("shap",)},
    "one": {"students": 1, "methods": METHODS[:2], "targets": ("Dev",), "kinds": ("std",)},
    "teachers": {"kinds": (), "methods": METHODS[3:]},
    "many": {"targets": ("a", "b", "c", "long name of a $ target", "$x$"), "methods": METHODS[1:]},
}


studies = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


def parts(study):
    """Arm, targets, methods and series of a study."""
    arm = study.get("arms", (ARM,))[0]
    students = [f"student {kind}" for kind in study.get("kinds", BOTH)]
    targets = study.get("targets", ("Dev", "Hk"))
    return arm, targets, study.get("methods", METHODS[:3]), ["teacher", *students]


def panels_of(figure, targets, methods, measures, columns):
    """Axes by (target, method, measure), of blocks of so many targets side by side."""
    axes = iter(figure.axes)
    return {
        (target, method, measure): next(axes)
        for start in range(0, len(targets), columns)
        for method in methods
        for target in targets[start : start + columns]
        for measure in measures
    }


def marks(axis, *, hollow):
    """{(colour, marker): [x, y]} of marks, filled or hollow; an open circle is a hollow one."""
    found = {}
    for line in axis.lines:
        if line.get_marker() in ("None", "", None, "_", "|"):
            continue
        face = to_hex(line.get_markerfacecolor(), keep_alpha=True)
        if (face in ("#ffffffff", "#00000000")) == hollow:
            key = (to_hex(line.get_color()), line.get_marker())
            own = found.setdefault(key, ([], []))
            own[0].extend(line.get_xdata())
            own[1].extend(line.get_ydata())
    return found


def look(series):
    return COLORS[series].lower(), MARKERS[series]


def shown(name):
    return name.replace("$", r"\$")


def made_sequences(targets, methods, series, n=200, single=False, seed=0):
    """Numbers of single sequences: some students above, some below their teachers."""
    rng = np.random.default_rng(seed)
    return {
        target: {
            method: {
                measure: {name: SCALE[method] * rng.gamma(4, 1, n) for name in series}
                for measure in ("RMSE_to_ensemble", *([] if single else ["Std"]))
            }
            for method in methods
        }
        for target in targets
    }
