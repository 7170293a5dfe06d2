"""The models whose maps are analysed together, and the files that speak of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.attribution.maps import PathLike, Stack, read_maps, read_stack
from degu.attribution.names import distance_name, map_name, stdev_name
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.files import write_npy
from degu.io.predictions import SHARED
from degu.io.summary import Identity

if TYPE_CHECKING:
    from degu.attribution.selection import Sequences

Member = tuple[PathLike, Identity]
"""A file of a model's maps by one method, and who it is: ``member`` and ``method``, of a student
also ``uncertainty``; its arm may be there too, and is checked then."""

_ARM = ("augmentation", "proportion", "size")


@dataclass(frozen=True)
class Members:
    """Models of one role and kind, with a file of maps by each method.

    Attributes:
        uncertainty: what students learned of their ensemble's spread; None for teachers.
        kinds: of their heads.
        files: by method and member.
        origin: their role and arm, and the sequences; labels what is made of their maps.
    """

    uncertainty: str | None
    kinds: tuple[str, ...]
    files: Mapping[str, Mapping[int, Path]]
    origin: Mapping[str, object]

    @property
    def role(self) -> str:
        """``teacher`` or ``student``."""
        return "student" if self.uncertainty else "teacher"

    @property
    def name(self) -> str:
        """``teachers``, ``students-std`` or ``students-logvar``."""
        return f"students-{self.uncertainty}" if self.uncertainty else "teachers"

    @property
    def numbers(self) -> list[int]:
        """What the models are called."""
        return list(next(iter(self.files.values())))

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def folder(self) -> Path:
        """Where their maps are, and what is made of them goes."""
        return next(iter(next(iter(self.files.values())).values())).parent

    def read(self, target: str, kind: str, method: str, sequences: Sequences) -> Stack:
        """Maps of one head of all models; InputError if they are not whole or do not fit."""
        return read_stack(
            self.files[method].values(),
            target,
            kind,
            sequences.targets[target].x.shape,
            method=method,
            sequences_sha256=sequences.sha256,
        )

    def export_average(self, average: np.ndarray, target: str, kind: str, method: str) -> None:
        """Write the average over the models (top_n, L, 4)."""
        path = self.folder / map_name("avg", len(average), target, kind, method)
        write_npy(average, path, **self.average_label(target, kind, method))

    def average_label(self, target: str, kind: str, method: str) -> dict[str, Any]:
        """What the file of an average says of itself."""
        own = {"content": "average map", "target": target, "head": kind, "method": method}
        return {**own, **self.origin}

    def export_spread(self, spread: np.ndarray, target: str, method: str) -> None:
        """Write how far the models' maps of activity are from each other (top_n,)."""
        name = stdev_name(len(spread), target, method)
        write_npy(spread.astype(np.float32), self.folder / name)

    def export_distances(self, distances: np.ndarray, target: str, method: str) -> None:
        """Write how far each model's maps of activity are from the teachers' (M, top_n)."""
        for ix, own in zip(self.numbers, distances, strict=True):
            name = distance_name(ix, len(own), target, method)
            write_npy(own.astype(np.float32), self.folder / name)


def gather(
    members: Iterable[Member], sequences: Sequences, **expected: object
) -> dict[str | None, Members]:
    """Models by their uncertainty (None for teachers), after a look at the card of each file.

    Args:
        members: files of models of one arm or pool.
        sequences: the study's.
        expected: fields of all cards and the values they must have.

    Raises:
        InputError: if a file is not of the model, method and sequences that it should be of, or a
            model is there twice; names the file.
        ValueError: if a model has no maps by a method that others have.
    """
    files: dict[str | None, dict[str, dict[int, Path]]] = {}
    first: dict[str | None, Card] = {}
    for path, identity in members:
        uncertainty, method = identity.get("uncertainty"), identity["method"]
        wanted = {
            "role": "student" if uncertainty else "teacher",
            "dataset_sha256": sequences.dataset_sha256,
            "member": identity["member"],
            "variant": None,
            **{name: identity[name] for name in _ARM if name in identity},
            **expected,
        }
        _, card = read_maps(
            path, method=method, sequences_sha256=sequences.sha256, targets=(), **wanted
        )
        aleatoric = "aleatoric" in card.heads.kinds
        card.check(path, heads=Heads(card.heads.targets, _kinds(uncertainty, aleatoric)))
        same = first.setdefault(uncertainty, card)
        card.check(path, **{name: getattr(same, name) for name in SHARED})
        by_member = files.setdefault(uncertainty, {}).setdefault(method, {})
        if card.member in by_member:
            raise InputError(
                f"{path} and {by_member[card.member]} are both member {card.member} by {method}; "
                "name each model once."
            )
        by_member[card.member] = Path(path)
    groups = {}
    for uncertainty, own in files.items():
        card = first[uncertainty]
        origin = {name: getattr(card, name) for name in ("role", *_ARM)}
        origin |= {"uncertainty": uncertainty, "sequences_sha256": sequences.sha256}
        groups[uncertainty] = Members(uncertainty, card.heads.kinds, own, origin)
    for group in groups.values():
        if any(list(by_member) != group.numbers for by_member in group.files.values()):
            raise ValueError("Every model needs maps by every method, in the same order.")
    return groups


def _kinds(uncertainty: str | None, aleatoric: bool) -> tuple[str, ...]:
    return ("mean", *filter(None, ["aleatoric" if aleatoric else None, uncertainty]))
