"""What the attribution maps of an arm's models say: how alike they are, and how right.

The maps of single teachers and of distilled students are compared to the average map of the
teachers, to each other and, where motifs were planted, to these. Numbers go to a tidy table
(:data:`COLUMNS`), what is known of each sequence to one HDF5 file an arm, and averages and spreads
of a folder's models to ``.npy`` files beside their maps.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from degu.attribution.agreement import agreement
from degu.attribution.comparison import Test, paired_t, welch, wilcoxon
from degu.attribution.consistency import divergence, embed
from degu.attribution.maps import PathLike, Stack, count_top, importance
from degu.attribution.members import Member, Members, gather
from degu.attribution.names import map_name
from degu.attribution.truth import auroc, average_precision, chance_precision, prevalence
from degu.errors import InputError
from degu.io.files import read_npy
from degu.io.hdf5 import create_hdf5, write_array
from degu.io.summary import Identity, tidy, tidy_rows
from degu.uncertainty import ensemble_mean, unbiased_std

if TYPE_CHECKING:
    from degu.attribution.selection import Selection, Sequences

COLUMNS = (
    "role",
    "augmentation",
    "proportion",
    "size",
    "member",
    "uncertainty",
    "method",
    "selection",
    "target",
    "head",
    "ddof",
    "metric",
    "comparison",
    "statistic",
    "value",
)
"""Columns of the attribution summary; blank where one does not apply."""

COMPARED = ("RMSE_to_ensemble", "Std", "Cosine", "Spearman", "AUROC", "AUPRC")
"""Metrics of sequences in which students are tested against teachers."""

CONSISTENCY = "Consistency_KLD"
"""The metric of :func:`degu.attribution.consistency.consistency`."""

SCHEMA_VERSION = 1

Rows = Iterator[dict[str, Any]]
# Values of each sequence, by metric and ddof: (M, n) of each model, (n,) of all of them together.
Scores = dict[tuple[str, int | None], np.ndarray]

_ARM = ("augmentation", "proportion", "size")


def evaluate_arm(
    arm: Identity,
    *,
    sequences: Sequences,
    teachers: Iterable[Member],
    students: Iterable[Member],
    output: PathLike,
) -> pd.DataFrame:
    """Compare the maps of one arm's models, with each other and with what is true.

    Each number is there for each method, target and group of sequences (``selection``), and is a
    mean over its sequences, without those for which it is not defined (``Residual`` and
    ``Consistency_KLD`` are of all of them together); a row without a number is left out.
    ``RMSE_to_ensemble``, ``Std``, ``Cosine`` and so on are those of
    :func:`degu.attribution.agreement.agreement`, the ensemble's map being the average over the
    arm's own teachers.

    - Of each teacher and student, head ``mean``: ``RMSE_to_ensemble``, ``Cosine_to_ensemble``,
      ``Spearman_to_ensemble``. A teacher is part of that average, so that its own RMSE (ddof 0) is
      too small, and is there with the factor √(n/(n−1)) as well (ddof 1); its ``RMSE_to_others``,
      ``Cosine_to_others`` and ``Spearman_to_others`` leave it out. With ddof 1 it is the distance
      to what the average of ever more teachers tends to; a student's has the error of this average
      in it as well, so that one that is no better than another teacher comes out √((n+1)/n) times
      as far.
    - Of several teachers or students together, each head: ``Std`` (ddof 0 and 1), ``Cosine``,
      ``Spearman``.
    - Of each model and head, of the ensemble, and (without a ``member``) of the average map of
      several students: ``Consistency_KLD``, how alike the high places of a model's own maps are,
      by :func:`degu.attribution.consistency.consistency`. Without any consistency it is the larger
      the fewer the sequences are, so that two selections of different size do not compare.
    - Of each model and head, by DeepSHAP: ``Residual``, the largest miss of additivity in stds of
      the prediction over the same sequences.
    - Where motifs were planted, of each teacher and student and of the ensemble, head ``mean``:
      ``AUROC`` and ``AUPRC`` of the size of :func:`~degu.attribution.maps.importance`; of the role
      ``truth``, the ``Prevalence`` of motif positions (the AUPRC of a constant map) and
      ``Chance_AUPRC``, that of a random one.
    - Of each kind of student against the teachers, in the metrics :data:`COMPARED` and in
      ``Consistency_KLD``, the ``statistic`` of each ``comparison``
      (:mod:`degu.attribution.comparison`). ``welch``, over models' means, tells whether models
      trained again would differ (not of the RMSE of two teachers, which are equally far from their
      average). ``paired_t`` and ``wilcoxon``, over sequences (not of ``Consistency_KLD``), each the
      mean over models, are about other sequences and these very models. The ``ddof`` is that of
      the teachers' RMSE, or of the ``Std`` on both sides.

    Args:
        arm: its ``augmentation``, ``proportion`` and ``size`` n.
        sequences: the study's.
        teachers: members 1 to n by each method.
        students: of one or both kinds of uncertainty, by the same methods.
        output: the HDF5 file to write. ``/{target}`` holds the sequences, in it
            ``{method}/ensemble/maps`` and, for ``teachers``, ``students-std`` and
            ``students-logvar``, ``{method}/{group}``: ``member`` (M,), ``rmse`` (M, n), ``std``,
            ``cosine``, ``spearman`` (n,) and ``average`` (n, L, 4), where motifs were planted also
            ``auroc`` and ``auprc`` (M, n), all of the head ``mean`` and with ddof 0;
            ``models/{member}`` is a link to the model's own maps of the target.

    Returns:
        Rows with :data:`COLUMNS`.

    Raises:
        InputError: if a file is not of this arm, model, method or these sequences, or not whole;
            names it.
        ValueError: if the teachers are not members 1 to n, or the methods differ.
    """
    arm = {name: arm[name] for name in _ARM}
    taught = gather(teachers, sequences, **{**arm, "size": None}).pop(None, None)
    if taught is None or sorted(taught.numbers) != list(range(1, arm["size"] + 1)):
        raise ValueError(
            f"An ensemble of {arm['size']} has teachers 1 to {arm['size']}, but got "
            f"{sorted(taught.numbers) if taught else []}."
        )
    learned = list(gather(students, sequences, **arm).values())
    for models in learned:
        if models.uncertainty is None or list(models.files) != list(taught.files):
            raise ValueError("Students need an uncertainty, and maps by the teachers' methods.")
    rows: list[dict[str, Any]] = []
    with create_hdf5(output) as file:
        file.attrs.update(
            **arm,
            targets=json.dumps(list(sequences.targets)),
            methods=json.dumps(list(taught.files)),
            sequences_sha256=sequences.sha256,
            dataset_sha256=sequences.dataset_sha256,
            schema_version=SCHEMA_VERSION,
        )
        for target, selection in sequences.targets.items():
            group = file.create_group(target)
            _write_selection(group, selection)
            rows += _truth_rows(selection, target)
            for method in taught.files:
                part = _Part(arm, sequences, target, method, Path(output).parent)
                rows += part.evaluate(taught, learned, group.create_group(method))
    return tidy(rows, COLUMNS)


def average_folder(members: Iterable[Member], sequences: Sequences) -> None:
    """Write the averages over a folder's models, and how far their maps are from each other.

    Beside the maps go ``avg_top{n}_{target}-{kind}_{method}.npy`` (n, L, 4) for each kind of head
    and ``top{n}_{target}_{method}_stdev.npy`` (n,) of the head ``mean``, the ``Std`` of
    :func:`degu.attribution.agreement.agreement`; float32, of the most active sequences.

    Args:
        members: the teachers of a pool or the students of an arm, by one method or several.
        sequences: the study's.

    Raises:
        InputError: if the models are not the expected ones, or not different models of one arm;
            names the file.
    """
    for models in gather(members, sequences).values():
        for method in models.files:
            for target, selection in sequences.targets.items():
                top = slice(count_top(selection))
                for kind in models.kinds:
                    stack = models.read(target, kind, method, sequences)
                    models.export_average(ensemble_mean(stack.maps[:, top]), target, kind, method)
                    if kind == "mean":
                        spread = agreement(stack.maps[:, top])["Std"]
                        models.export_spread(spread, target, method)


def export_distances(members: Iterable[Member], sequences: Sequences) -> None:
    """Write how far models' maps are from the average in their folder, for each sequence.

    Beside the maps go ``{ix}_top{n}_{target}_{method}_euclidean_dist.npy`` (n,) float32, the root
    of the mean squared difference over the map, of the head ``mean`` and the most active sequences.

    Args:
        members: teachers of a pool, by one method or several.
        sequences: the study's.

    Raises:
        InputError: if a model is not the expected one, or the average of :func:`average_folder` is
            not there or not whole; names the file.
    """
    for models in gather(members, sequences).values():
        for method in models.files:
            for target, selection in sequences.targets.items():
                top_n = count_top(selection)
                path = models.folder / map_name("avg", top_n, target, "mean", method)
                average = read_npy(
                    path,
                    shape=(top_n, *selection.x.shape[1:]),
                    dtype_kind="f",
                    **models.average_label(target, "mean", method),
                )
                stack = models.read(target, "mean", method, sequences)
                distances = agreement(stack.maps[:, :top_n], average)["RMSE_to_ensemble"]
                models.export_distances(distances, target, method)


def summarize_attribution(tables: Iterable[PathLike]) -> pd.DataFrame:
    """The attribution summary of a study: the tables of its arms, what is true of all once.

    Args:
        tables: CSV files of :func:`evaluate_arm`'s tables.

    Raises:
        InputError: if one is not whole, or they are not of the same sequences.
    """
    tables = list(tables)
    whole = pd.concat([tidy_rows(Path(path), COLUMNS) for path in tables], ignore_index=True)
    of_truth = whole["role"] == "truth"
    truth = whole[of_truth].drop_duplicates()
    if truth.duplicated([name for name in COLUMNS if name != "value"]).any():
        raise InputError(
            f"{', '.join(map(str, tables))} are not of the same sequences; delete them and run the "
            "workflow again."
        )
    return pd.concat([whole[~of_truth], truth], ignore_index=True)


# One target and method of an arm


@dataclass(frozen=True)
class _Part:
    """Evaluation of one target and method of an arm."""

    arm: Identity
    sequences: Sequences
    target: str
    method: str
    output_folder: Path

    @property
    def selection(self) -> Selection:
        return self.sequences.targets[self.target]

    def evaluate(self, taught: Members, learned: Iterable[Members], group: h5py.Group) -> Rows:
        """Rows of all models; writes the group of the method."""
        stack = taught.read(self.target, "mean", self.method, self.sequences)
        ensemble = ensemble_mean(stack.maps)
        write_array(group.create_group("ensemble"), "maps", ensemble)
        of_ensemble = self.row("ensemble")
        for metric, values in self.truth(ensemble[None]).items():
            yield from _averages(values[0], self.selection, {**of_ensemble, "metric": metric})
        yield from _consistency_rows(self.consistencies(ensemble[None]), of_ensemble)
        scores = self.score(stack, ensemble, members=True)
        self.write_group(group, taught, scores, group["ensemble/maps"])
        yield from self.rows(taught, "mean", stack, scores)
        of_teachers = self.consistencies(stack.maps)
        yield from _consistency_rows(of_teachers, self.row("teacher"), taught.numbers)
        del stack
        for models in learned:
            for kind in models.kinds:
                stack = models.read(self.target, kind, self.method, self.sequences)
                average = ensemble_mean(stack.maps)
                top = slice(count_top(self.selection))
                models.export_average(average[top], self.target, kind, self.method)
                row = self.row(models.role, models.uncertainty, kind)
                of_students = self.consistencies(stack.maps)
                yield from _consistency_rows(of_students, row, models.numbers)
                if len(models) > 1:
                    yield from _consistency_rows(self.consistencies(average[None]), row)
                if kind != "mean":
                    yield from self.rows(models, kind, stack, self.score(stack))
                    continue
                own = self.score(stack, ensemble)
                self.write_group(group, models, own, average)
                models.export_spread(own["Std", 0][top], self.target, self.method)
                distances = own["RMSE_to_ensemble", None][:, top]
                models.export_distances(distances, self.target, self.method)
                yield from self.rows(models, kind, stack, own)
                yield from self.comparisons(models, own, scores)
                for name, values in of_students.items():
                    measured = {**row, "metric": CONSISTENCY, "selection": name}
                    yield from _test_rows("welch", welch(values, of_teachers[name]), measured)

    def row(self, role: str, uncertainty: str | None = None, kind: str = "mean") -> dict[str, Any]:
        return {
            "role": role,
            **self.arm,
            "uncertainty": uncertainty,
            "method": self.method,
            "target": self.target,
            "head": kind,
        }

    def score(
        self, stack: Stack, ensemble: np.ndarray | None = None, *, members: bool = False
    ) -> Scores:
        """All that is known of each sequence; against the ensemble of the head mean, if given."""
        scores: Scores = {}
        for metric, values in agreement(stack.maps, ensemble, members=members).items():
            if metric != "Std" and not (metric == "RMSE_to_ensemble" and members):
                scores[metric, None] = values
                continue
            scores[metric, 0] = values
            if len(stack.maps) > 1:
                scores[metric, 1] = unbiased_std(values, len(stack.maps))
        if ensemble is not None:
            scores |= {(m, None): values for m, values in self.truth(stack.maps).items()}
        return scores

    def truth(self, maps: np.ndarray) -> dict[str, np.ndarray]:
        """Agreement of maps (M, n, L, 4) with planted motifs, (M, n); nothing if there are none."""
        mask = self.selection.motif_mask
        if mask is None:
            return {}
        sizes = [np.abs(importance(own, self.selection.x, self.method)) for own in maps]
        return {
            metric: np.stack([score(own, mask) for own in sizes])
            for metric, score in (("AUROC", auroc), ("AUPRC", average_precision))
        }

    def consistencies(self, maps: np.ndarray) -> dict[str, np.ndarray]:
        """How consistent each model's own maps (M, n, L, 4) are, (M,) by group of sequences."""
        groups = self.selection.groups()
        values = []
        for own in maps:
            points = embed(own)
            values.append([divergence(points[indices]) for indices in groups.values()])
        return dict(zip(groups, np.array(values).T, strict=True))

    def rows(self, models: Members, kind: str, stack: Stack, scores: Scores) -> Rows:
        """Rows of single models, and of all of them if they are several."""
        row = self.row(models.role, models.uncertainty, kind)
        for (metric, ddof), values in scores.items():
            measured = {**row, "metric": metric, "ddof": ddof}
            if values.ndim == 2:
                for member, own in zip(models.numbers, values, strict=True):
                    yield from _averages(own, self.selection, {**measured, "member": member})
            elif len(models) > 1:
                yield from _averages(values, self.selection, measured)
        if stack.residual is not None:
            columns = (models.numbers, stack.prediction, stack.residual)
            for member, prediction, residual in zip(*columns, strict=True):
                yield from self.residuals(prediction, residual, {**row, "member": member})

    def residuals(
        self, prediction: np.ndarray, residual: np.ndarray, row: Mapping[str, Any]
    ) -> Rows:
        for name, indices in self.selection.groups().items():
            predicted = prediction[indices].astype(np.float64)
            if len(predicted) and np.ptp(predicted) > 0:
                value = float(np.abs(residual[indices]).max() / np.std(predicted))
                yield {**row, "metric": "Residual", "selection": name, "value": value}

    def comparisons(self, models: Members, students: Scores, teachers: Scores) -> Rows:
        """Rows of the tests of one kind of students against the teachers."""
        row = self.row(models.role, models.uncertainty)
        for (metric, ddof), of_teachers in teachers.items():
            of_students = students.get((metric, ddof), students.get((metric, None)))
            if metric not in COMPARED or of_students is None:
                continue
            if of_students.ndim == 1 and len(models) < 2:
                continue
            for name, indices in self.selection.groups().items():
                sides = of_students[..., indices], of_teachers[..., indices]
                tests = {}
                if of_students.ndim == 2:
                    # Two teachers have one distance, and not two, from their average.
                    if metric != "RMSE_to_ensemble" or self.arm["size"] > 2:
                        tests["welch"] = welch(*map(_mean, sides))
                    sides = _mean(sides[0].T), _mean(sides[1].T)
                tests |= {"paired_t": paired_t(*sides), "wilcoxon": wilcoxon(*sides)}
                measured = {**row, "metric": metric, "ddof": ddof, "selection": name}
                for comparison, test in tests.items():
                    yield from _test_rows(comparison, test, measured)

    def write_group(
        self, parent: h5py.Group, models: Members, scores: Scores, average: Any
    ) -> None:
        """One kind of models in the arm's file; an average that is there already is shared."""
        group = parent.create_group(models.name)
        write_array(group, "member", np.array(models.numbers, np.int64))
        biased = 0 if models.uncertainty is None else None
        for key, score in {
            "rmse": ("RMSE_to_ensemble", biased),
            "std": ("Std", 0),
            "cosine": ("Cosine", None),
            "spearman": ("Spearman", None),
            "auroc": ("AUROC", None),
            "auprc": ("AUPRC", None),
        }.items():
            if score in scores:
                write_array(group, key, scores[score].astype(np.float32))
        if isinstance(average, h5py.Dataset):
            group["average"] = average
        else:
            write_array(group, "average", average)
        links = group.create_group("models")
        for ix, path in models.files[self.method].items():
            # Relative, so that a results folder can be moved as a whole.
            relative = os.path.relpath(path, self.output_folder)
            links[str(ix)] = h5py.ExternalLink(relative, f"/{self.target}")


def _write_selection(group: h5py.Group, selection: Selection) -> None:
    for key in ("row", "id", "y", "rank", "bin", "x", "motif_mask"):
        values = getattr(selection, key)
        if values is not None:
            write_array(group, key, values)


def _truth_rows(selection: Selection, target: str) -> Rows:
    """What maps without information would score against planted motifs."""
    if selection.motif_mask is None:
        return
    for metric, score in (("Prevalence", prevalence), ("Chance_AUPRC", chance_precision)):
        values = score(selection.motif_mask)
        row = {"role": "truth", "target": target, "head": "mean", "metric": metric}
        yield from _averages(values, selection, row)


def _consistency_rows(
    values: Mapping[str, np.ndarray],
    row: Mapping[str, Any],
    members: Iterable[int | None] = (None,),
) -> Rows:
    """A row for each group of sequences and model; values are (M,) of each group."""
    for name, of_models in values.items():
        for member, value in zip(members, of_models.tolist(), strict=True):
            if not np.isnan(value):
                own = {"member": member, "metric": CONSISTENCY, "selection": name, "value": value}
                yield {**row, **own}


def _test_rows(comparison: str, test: Test, row: Mapping[str, Any]) -> Rows:
    """A row for each statistic of a test."""
    for statistic, value in test.items():
        yield {**row, "comparison": comparison, "statistic": statistic, "value": value}


def _averages(values: np.ndarray, selection: Selection, row: Mapping[str, Any]) -> Rows:
    """A row for each group of sequences: the mean of values (n,) over those that have one."""
    for name, indices in selection.groups().items():
        mean = float(_mean(values[indices]))
        if not np.isnan(mean):
            yield {**row, "selection": name, "value": mean}


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing is left, without a warning."""
    there = ~np.isnan(values)
    count = there.sum(axis=-1)
    return np.where(there, values, 0).sum(axis=-1) / np.where(count > 0, count, np.nan)
