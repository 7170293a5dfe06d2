"""Files of attribution maps, their names, and what a map says of a position.

``{ix}_{method}.h5`` holds the maps of one model by one method, and its card. A group
``/{target}/{kind}`` for each head (``mean``, ``std`` or ``logvar``) has ``maps`` (n, L, 4) float32
and ``prediction`` (n,), both of the sequences that were chosen for the target and in their order
(:class:`degu.attribution.selection.Selection`); of DeepSHAP also ``residual`` (n,), by how much the
sum of a map misses the difference that it explains, and ``hypothetical`` (n, L, 4) where it was
asked for. Attributes: ``method``, ``sequences_sha256``.

Maps are kept as their methods make them. Those of DeepSHAP are not centred over the four bases (a
map's sum is what it explains), those of saliency are, and in-silico mutagenesis holds differences
from the observed base. :func:`importance` is where they become comparable.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np

from degu.attribution.methods import IMPORTANCE, METHODS, find
from degu.attribution.names import map_name
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import write_npy
from degu.io.hdf5 import create_hdf5, open_hdf5, read_array, write_array

if TYPE_CHECKING:
    from degu.attribution.selection import Selection, Sequences

PathLike = str | os.PathLike[str]

_MAKE_AGAIN = "delete it and let the workflow make it again"


class HeadMaps(NamedTuple):
    """Maps of one head of one model; n sequences in the order of their selection.

    Attributes:
        maps: (n, L, 4) float32, units of the head.
        prediction: (n,) float32, of the head.
        residual: (n,) float32, of DeepSHAP the sum of a map less what it explains; or None.
        hypothetical: (n, L, 4) float32, of DeepSHAP what other bases would contribute; or None.
    """

    maps: np.ndarray
    prediction: np.ndarray
    residual: np.ndarray | None = None
    hypothetical: np.ndarray | None = None


class Stack(NamedTuple):
    """Maps of one head of M models: ``maps`` (M, n, L, 4), ``prediction``, ``residual`` (M, n)."""

    maps: np.ndarray
    prediction: np.ndarray
    residual: np.ndarray | None


Maps = Mapping[str, Mapping[str, HeadMaps]]
"""Maps of a model: those of each head, by its target and kind."""


# Files of one model


def write_maps(
    path: PathLike, maps: Maps, card: Card, *, method: str, sequences_sha256: str
) -> None:
    """Write the maps of a model by one method, whole or not at all.

    Args:
        path: the file to write.
        maps: of each target and kind of head.
        card: of the model.
        method: a registered one, see :mod:`degu.attribution.methods`.
        sequences_sha256: of the chosen sequences.

    Raises:
        InputError: for an unknown method.
    """
    find(method)
    with create_hdf5(path) as file:
        for target, by_kind in maps.items():
            for kind, values in by_kind.items():
                group = file.create_group(f"{target}/{kind}")
                for key, array in values._asdict().items():
                    if array is not None:
                        write_array(group, key, np.asarray(array, np.float32))
        card.write(file.attrs)
        file.attrs.update(method=method, sequences_sha256=sequences_sha256)


def read_maps(
    path: PathLike,
    *,
    method: str | None = None,
    sequences_sha256: str | None = None,
    targets: Iterable[str] | None = None,
    heads: Iterable[str] | None = None,
    **expected: object,
) -> tuple[dict[str, dict[str, HeadMaps]], Card]:
    """Maps of a model, and its card.

    Args:
        path: file of :func:`write_maps`.
        method: by which they must be; None takes any.
        sequences_sha256: of the chosen sequences that they must be of; None takes any.
        targets: which to read; None reads all.
        heads: kinds of heads to read; None reads those that are there.
        expected: fields of the card and the values they must have.

    Returns:
        ``{target: {kind: maps}}``, and the card.

    Raises:
        InputError: if the file is missing, not whole, of another model, method or sequences, lacks
            a target or kind, or holds values that are not finite.
    """
    with open_hdf5(path) as file:
        card = Card.read(file)
        card.check(path, **expected)
        _check_origin(file, path, method, sequences_sha256)
        kinds = card.heads.kinds if heads is None else tuple(heads)
        maps: dict[str, dict[str, HeadMaps]] = {}
        for target in card.heads.targets if targets is None else targets:
            there = [k for k in kinds if heads is not None or f"{target}/{k}" in file]
            # A target without any head is as wrong as a head that was asked for.
            maps[target] = {k: _read_head(file, path, target, k) for k in there or kinds}
    return maps, card


def read_stack(
    paths: Iterable[PathLike],
    target: str,
    kind: str,
    shape: tuple[int, ...],
    *,
    method: str | None = None,
    sequences_sha256: str | None = None,
) -> Stack:
    """Maps of one head of several models, in the order of their files.

    Args:
        paths: files of :func:`write_maps`.
        target, kind: the head.
        shape: of the maps, (n, L, 4): that of the sequences.
        method, sequences_sha256: as for :func:`read_maps`.

    Raises:
        InputError: as :func:`read_maps`, and for maps of another shape; names the file.
    """
    paths = list(paths)
    maps = np.empty((len(paths), *shape), np.float32)
    prediction = np.empty((len(paths), shape[0]), np.float32)
    residuals = []
    for i, path in enumerate(paths):
        with open_hdf5(path) as file:
            _check_origin(file, path, method, sequences_sha256)
            head = _read_head(file, path, target, kind, skip=("hypothetical",))
        if head.maps.shape != shape:
            raise InputError(
                f"{path}: {Heads.name(target, kind)} has maps of shape {head.maps.shape}, where "
                f"{shape} is needed for the chosen sequences; {_MAKE_AGAIN}."
            )
        maps[i], prediction[i] = head.maps, head.prediction
        residuals.append(head.residual)
    whole = [r for r in residuals if r is not None]
    return Stack(maps, prediction, np.stack(whole) if len(whole) == len(paths) else None)


def _check_origin(
    file: h5py.File, path: PathLike, method: str | None, sequences_sha256: str | None
) -> None:
    made_by, made_of = (file.attrs.get(name) for name in ("method", "sequences_sha256"))
    if not isinstance(made_by, str) or made_of is None:
        raise InputError(f"{path} is not a file of attribution maps; {_MAKE_AGAIN}.")
    if made_by not in METHODS:
        raise InputError(
            f"{path} holds maps by {made_by}, which is not one of {', '.join(METHODS)}; "
            f"{_MAKE_AGAIN}."
        )
    if method not in (None, made_by):
        raise InputError(f"{path} holds maps by {made_by} and not by {method}; {_MAKE_AGAIN}.")
    if sequences_sha256 not in (None, made_of):
        raise InputError(
            f"{path} holds maps of other sequences than those that are chosen now; {_MAKE_AGAIN}."
        )


def _read_head(
    file: h5py.File, path: PathLike, target: str, kind: str, skip: Iterable[str] = ()
) -> HeadMaps:
    name = Heads.name(target, kind)
    if f"{target}/{kind}" not in file:
        raise InputError(f"{path} has no maps of {name}; {_MAKE_AGAIN}.")
    group = file[f"{target}/{kind}"]
    keys = [key for key in HeadMaps._fields if key in group and key not in skip]
    try:
        head = HeadMaps(**{key: read_array(group, key, dtype_kind="f") for key in keys})
    except (InputError, OSError, TypeError) as error:  # unreadable, or an array that is gone
        raise InputError(f"{path}: {name} is not whole; {_MAKE_AGAIN}.") from error
    shapes = {key: getattr(head, key).shape for key in keys}
    n = len(head.maps)
    wanted = {key: (n,) for key in keys} | dict.fromkeys(("maps", "hypothetical"), shapes["maps"])
    if head.maps.ndim != 3 or head.maps.shape[2] != 4 or any(shapes[k] != wanted[k] for k in keys):
        described = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
        raise InputError(
            f"{path}: {name} has arrays that do not fit each other ({described}); {_MAKE_AGAIN}."
        )
    for key in keys:
        if not np.isfinite(getattr(head, key)).all():
            raise InputError(
                f"{path}: {name} holds {key} that is not finite; delete the file and this "
                "member's model, then run the workflow again."
            )
    return head


# Files for notebooks


def count_top(selection: Selection) -> int:
    """How many of a target's sequences were chosen as the most active ones; they come first."""
    return int(np.count_nonzero(selection.rank))


def export_maps(
    folder: PathLike, maps: Maps, sequences: Sequences, ix: object, method: str
) -> None:
    """Write the maps of the most active sequences as ``.npy``, a file for each head.

    Args:
        folder: where they go, by :func:`map_name`.
        maps: of each target and kind of head, of all its sequences.
        sequences: the study's.
        ix: the model's number, or ``avg`` for an average.
        method: a registered one, see :mod:`degu.attribution.methods`.
    """
    for target, by_kind in maps.items():
        top_n = count_top(sequences.targets[target])
        for kind, values in by_kind.items():
            path = Path(folder) / map_name(ix, top_n, target, kind, method)
            write_npy(np.asarray(values.maps[:top_n], np.float32), path)


# Meaning


def importance(maps: np.ndarray, x: np.ndarray, method: str) -> np.ndarray:
    """How much the prediction rests on each position; the sign says in which direction.

    A method says how (``importance`` of :class:`degu.attribution.methods.Method`). A contribution
    of DeepSHAP, which has parts at the base that is there and at those of the references, is
    summed over the four bases. A map by saliency or in-silico mutagenesis is taken at the base that
    is there, after its mean over the four bases: how much better than an average base this one is.

    Args:
        maps: (..., n, L, 4), as the method makes them.
        x: the sequences (n, L, 4), one-hot, an unknown base a zero row.
        method: a registered one, see :mod:`degu.attribution.methods`.

    Returns:
        (..., n, L) float64, units of the head; 0 where the base is unknown.

    Raises:
        InputError: for an unknown method.
        ValueError: if the shapes do not fit.
    """
    rule = IMPORTANCE[find(method).importance]
    maps, x = np.asarray(maps, dtype=np.float64), np.asarray(x)
    if maps.shape[-3:] != x.shape:
        raise ValueError(f"Maps of shape {maps.shape} do not fit sequences of shape {x.shape}.")
    return rule(maps, x)
