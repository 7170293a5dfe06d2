"""Attribution maps of one member of a study: what the workflow's jobs call."""

from __future__ import annotations

import os
import sys

import keras
import numpy as np

from degu.attribution.deeplift import explain
from degu.attribution.gradients import saliency
from degu.attribution.ism import mutagenesis
from degu.attribution.maps import HeadMaps
from degu.attribution.references import sample_references, shuffled_references
from degu.attribution.selection import Sequences
from degu.dataset import read_split
from degu.errors import InputError
from degu.heads import Heads
from degu.sweep import derive_seed
from degu.training.batches import predict

Maps = dict[str, dict[str, HeadMaps]]


_PLAIN = {"saliency": saliency, "ism": mutagenesis}


_SHAP = ("shap", "shap_dinuc_shuffle")


def attribute(
    model: keras.Model,
    heads: Heads,
    sequences: Sequences,
    method: str,
    *,
    references: np.ndarray | None = None,
    shuffles: int = 100,
    hypothetical: bool = False,
) -> Maps:
    """Maps of every head of a model, each of the sequences that were chosen for its target.

    Args:
        model: a teacher or a student.
        heads: names of its output columns.
        sequences: the study's. Every model gets the same references: the shuffles of a sequence
            depend on the study's seed and the target alone.
        method: ``saliency``, ``shap`` (references that all sequences share),
            ``shap_dinuc_shuffle`` (shuffles of each sequence) or ``ism``.
        references: of ``shap``, those that all sequences share (k, L, 4); see
            :func:`shared_references`.
        shuffles: references of each sequence in ``shap_dinuc_shuffle``.
        hypothetical: whether to keep the hypothetical contributions of DeepSHAP.

    Returns:
        For each target and kind of head its maps (n, L, 4) in the order of the selection, in the
        units of the head.

    Raises:
        InputError: for an unknown method, or a model that the method does not cover.
    """
    if method not in (*_PLAIN, *_SHAP):
        raise InputError(
            f"attribution.methods: {method!r} is unknown; write some of "
            f"{', '.join((*_PLAIN, *_SHAP))}."
        )
    maps: Maps = {}
    for target, selection in sequences.targets.items():
        columns = [heads.column(target, kind) for kind in heads.kinds]
        print(
            f"{method} of {target}: {len(selection):,} sequences; heads "
            f"{', '.join(Heads.name(target, kind) for kind in heads.kinds)}",
            file=sys.stderr,
            flush=True,
        )
        if method in _SHAP:
            if method == "shap_dinuc_shuffle":
                seed = derive_seed(sequences.seed, "attribution references", target=target)
                references = shuffled_references(selection.x, shuffles, seed)
            elif references is None:
                raise ValueError("The method shap needs references.")
            made = _deepshap(model, selection.x, columns, references, hypothetical)
        else:
            made = _plain(model, selection.x, columns, method)
        maps[target] = dict(zip(heads.kinds, made, strict=True))
    return maps


def shared_references(dataset: str | os.PathLike[str], k: int, seed: int) -> np.ndarray:
    """The references of ``shap``: k test sequences (k, L, 4), by the published draw.

    Raises:
        InputError: if there are not so many; names the config key.
    """
    x = read_split(dataset, "Test", fields=("x",)).x
    if k > len(x):
        raise InputError(
            f"attribution.references: {k} is more than the {len(x)} test sequences; write a "
            "smaller number, or leave shap out of attribution.methods."
        )
    return sample_references(x, k, seed)


def _plain(model: keras.Model, x: np.ndarray, columns: list[int], method: str) -> list[HeadMaps]:
    """Saliency or in-silico mutagenesis, a map for each column."""
    maps = _PLAIN[method](model, x, columns, progress=True)
    predictions = predict(model, x)
    return [
        HeadMaps(maps[..., i], predictions[:, column], None, None)
        for i, column in enumerate(columns)
    ]


def _deepshap(
    model: keras.Model,
    x: np.ndarray,
    columns: list[int],
    references: np.ndarray,
    hypothetical: bool,
) -> list[HeadMaps]:
    """DeepSHAP, a map for each column."""
    made = explain(model, x, references, columns, progress=True)
    return [
        HeadMaps(
            made.contributions[..., i],
            made.prediction[:, i],
            made.residual[:, i],
            made.hypothetical[..., i] if hypothetical else None,
        )
        for i in range(len(columns))
    ]
