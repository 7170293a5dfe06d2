"""What a run has given: a small table for the end of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from degu.errors import InputError
from degu.study.failed import failed_members, reseed_line, validation_error


def results_table(summary: pd.DataFrame) -> str:
    """Performance and fidelity on the test set for reading, means over members.

    For each augmentation, the largest share of the training set, and of each kind of model the
    largest ensemble: Pearson for each target of the single teacher, the ensemble, students and
    baselines, then Pearson of the stds of students with the ensemble's (``fidelity``).

    Args:
        summary: ``summary.csv``, with the columns of :data:`degu.io.summary.COLUMNS`.

    Returns:
        Lines of the table; empty where the summary has no correlations.
    """
    blank = summary[["stage", "shift"]].isna() | (summary[["stage", "shift"]] == "")
    rows = summary[blank.all(axis=1) & (summary["metric"] == "Pearson")]
    if rows.empty:
        return ""
    targets = list(dict.fromkeys(rows["target"]))
    columns = [("mean", target) for target in targets]
    columns += [
        ("std", t) for t in targets if ((rows["head"] == "std") & (rows["target"] == t)).any()
    ]
    titles = [target if head == "mean" else f"fidelity {target}" for head, target in columns]
    table = [("Pearson, Test", *titles)]
    for augmentation, of_augmentation in rows.groupby("augmentation", sort=False):
        largest = of_augmentation["proportion"].max()
        pool = of_augmentation[of_augmentation["proportion"] == largest]
        table.append((f"{augmentation}, {largest:g} of Train", *[""] * len(titles)))
        kinds = pool.groupby(["role", "variant", "uncertainty"], sort=False, dropna=False)
        # In the order of the summary, but these two before what is compared with them.
        first = ("teacher", "ensemble")
        for (role, variant, uncertainty), kind in sorted(
            kinds, key=lambda item: first.index(item[0][0]) if item[0][0] in first else len(first)
        ):
            size = kind["size"].max()
            if pd.notna(size):
                kind = kind[kind["size"] == size]
            means = kind.groupby(["head", "target"])["value"].mean()
            cells = [f"{means[key]:.3f}" if key in means else "" for key in columns]
            name = _name(role, size, [uncertainty, variant], kind["member"].nunique())
            table.append((f"  {name}", *cells))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def _name(role: str, size: float, which: Sequence[Any], members: int) -> str:
    """A kind of model: ``student (std, ensemble of 4, mean of 2)``."""
    if role == "ensemble":
        return f"ensemble of {size:g}"
    words = [str(word).replace("_", " ") for word in which if pd.notna(word) and word != ""]
    if pd.notna(size):
        words.append(f"ensemble of {size:g}")
    if members > 1:
        words.append(f"mean of {members}")
    name = "single teacher" if role == "teacher" else role.replace("_", " ")
    return f"{name} ({', '.join(words)})" if words else name


def failed_text(trained: Sequence[Mapping[str, Any]], reseed: Sequence[str]) -> str:
    """The members of a study that have failed so far, and the config's line that draws them anew.

    A history that cannot be read has a line of its own, and its member is left out.

    Args:
        trained: of :func:`degu.study.parts.trained_by`; a member whose history is not there is yet
            to be trained.
        reseed: what the config has there.

    Returns:
        Lines for reading; empty where there is nothing to say.
    """
    known, errors, lines = [], [], []
    for member in trained:
        if not os.path.exists(member["history"]):
            continue
        try:
            errors.append(validation_error(member["history"]))
            known.append(member)
        except InputError as error:
            lines.append(str(error))
    found = failed_members([member["identity"] for member in known], errors)
    if not found:
        return "\n".join(lines)
    lines.append(
        "Failed members (a validation error far above those of their siblings; they stay in their "
        "ensembles):"
    )
    for one in found:
        name = _member_name(known[one.place]["identity"])
        lines.append(
            f"  {name}: validation error {one.error:.3g}, {one.error / one.median:.1f} times the "
            f"median of {one.siblings} siblings ({one.median:.3g})"
        )
    models = [known[one.place]["model"] for one in found]
    lines.append("To train them again from other seeds, write in the config:")
    lines.append(f"  {reseed_line(reseed, models)}")
    return "\n".join(lines)


def _member_name(identity: Mapping[str, Any]) -> str:
    """A member: ``student 3 (std; standard, 1 of Train, ensemble of 10)``."""
    own = [identity[key].replace("_", " ") for key in ("uncertainty", "variant") if key in identity]
    arm = [identity["augmentation"], f"{identity['proportion']:g} of Train"]
    if "size" in identity:
        arm.append(f"ensemble of {identity['size']}")
    where = "; ".join(", ".join(words) for words in (own, arm) if words)
    return f"{identity['role'].replace('_', ' ')} {identity['member']} ({where})"


def end_of_run_text(results: str | os.PathLike[str], failed: str = "", *, whole: bool) -> str:
    """What a run that succeeded says at its end: the table, and where the results lie.

    Args:
        results: ``results/{dataset}``.
        failed: lines about members that have failed, of :func:`failed_text`.
        whole: whether the run brought the summary up to date; a part of the study, such as
            ``teachers``, does not.
    """
    lines = []
    if whole:
        lines += ["", results_table(pd.read_csv(os.path.join(results, "summary.csv"))), ""]
    if failed:
        lines += [failed, ""]
    lines.append(f"Finished: the results lie in {results}/")
    if whole:
        lines += [
            f"  figures   {results}/figures/",
            f"  numbers   {results}/summary.csv",
            "  a report  the same command with `--report report.html` (or `make report`)",
        ]
    return "\n".join(lines)
