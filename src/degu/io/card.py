"""What a model file, or a file of its predictions, says of itself.

A card is stored as HDF5 attributes named ``degu_*``. It is checked wherever such a file is used,
so that a model of another arm, architecture or data set is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import h5py

from degu.errors import InputError
from degu.heads import Heads
from degu.io.files import MAKE_AGAIN
from degu.io.versions import package_versions
from degu.sequences import ALPHABET

PREFIX = "degu_"


# What JSON makes of the type of a field.
_TYPES: dict[object, Any] = {
    "Heads": Heads,
    "str": str,
    "str | None": str | None,
    "int": int,
    "int | None": int | None,
    "float": int | float,
    "tuple[str, str]": tuple,
    "dict[str, str]": dict,
    "dict[str, float]": dict,
}


def _flanks(text: str) -> tuple[str, str]:
    left, right = json.loads(text)
    if set(left + right) - set(ALPHABET):
        raise ValueError("flanks are bases")
    return left, right


_READERS: dict[str, Callable[[str], Any]] = {"heads": Heads.from_json, "flanks": _flanks}
"""Of fields that are no plain JSON."""


@dataclass(frozen=True)
class Card:
    """Identity of a trained model.

    Attributes:
        heads: names of the output columns; :data:`degu.heads.Kind` says what each kind is.
        architecture: the config's ``model``.
        role: ``teacher`` or ``student``.
        augmentation, proportion, size, member: its arm and number; size is None for a teacher,
            which belongs to ensembles of several sizes.
        seed: the member's derived seed.
        dataset_sha256: content hash of the data set it was trained on.
        variant: how a student's batches were augmented and labelled on the fly, such as
            ``random_append``; None for all other models.
        loss: settings of the loss that validation chose; empty where there was nothing to choose.
        architecture_sha256: hash of the architecture itself, since a name of one's own may come to
            mean another one; filled in when the model is saved.
        flanks: constant bases of the assay at the left and right end of every sequence that it
            takes; models from before there were any have none.
        versions: of the packages it was trained with.
    """

    heads: Heads
    architecture: str
    role: str
    augmentation: str
    proportion: float
    size: int | None
    member: int
    seed: int
    dataset_sha256: str
    variant: str | None = None
    loss: dict[str, float] = field(default_factory=dict)
    architecture_sha256: str = ""
    flanks: tuple[str, str] = ("", "")
    versions: dict[str, str] = field(default_factory=package_versions)

    def write(self, attributes: h5py.AttributeManager) -> None:
        """Store the card among the attributes of an HDF5 file."""
        for item in fields(self):
            value = getattr(self, item.name)
            text = value.to_json() if isinstance(value, Heads) else json.dumps(value)
            attributes[PREFIX + item.name] = text

    @classmethod
    def read(cls, file: h5py.File) -> Card:
        """The card of an open HDF5 file; InputError if it has none, or a damaged one."""
        values: dict[str, Any] = {}
        for item in fields(cls):
            text = file.attrs.get(PREFIX + item.name)
            if text is None and item.name == "flanks":
                continue
            if text is None:
                raise InputError(
                    f"{file.filename} carries no card ({PREFIX}{item.name} is missing), so what it "
                    "holds is unknown; make it again with this workflow."
                )
            try:
                value = _READERS.get(item.name, json.loads)(text)
            except (TypeError, ValueError):
                value = ...
            if not isinstance(value, _TYPES[item.type]):
                raise InputError(
                    f"{file.filename} has a damaged card ({PREFIX}{item.name}); {MAKE_AGAIN}."
                )
            values[item.name] = value
        return cls(**values)

    def check(self, path: object, **expected: object) -> None:
        """Refuse a card that differs from what is expected; InputError names the difference."""
        for name, wanted in expected.items():
            got = getattr(self, name)
            if got != wanted:
                got, wanted = (v.columns if isinstance(v, Heads) else v for v in (got, wanted))
                raise InputError(
                    f"{path} has {name} {got!r}, where {wanted!r} is needed; delete the file and "
                    "let the workflow make it again."
                )
