"""What a file of degu holds, told by its content and never by its name alone."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from degu.calibration.recalibration import Recalibration
from degu.calibration.tables import CURVE_COLUMNS, DIFFERENCE_COLUMNS, ROW_COLUMNS
from degu.dataset import read_info
from degu.errors import InputError
from degu.io.card import Card
from degu.io.files import check_seal, sha256_of
from degu.io.hdf5 import open_hdf5
from degu.io.summary import COLUMNS, tidy_rows
from degu.predict.export import FORMAT
from degu.sweep import SPLITS

Description = dict[str, Any]
"""What a file holds, as JSON has it; ``kind`` says in words what it is."""

KNOWN = (
    "model, data set, distillation file, predictions, attribution maps, recalibration, summary "
    "or performance table, export"
)
_HDF5, _LARGEST_JSON = b"\x89HDF\r\n\x1a\n", 1 << 28
_TABLES = {
    "summary of a study": COLUMNS,
    "summary of uncertainties": ROW_COLUMNS,
    "curves of uncertainties": CURVE_COLUMNS,
    "differences of uncertainties": DIFFERENCE_COLUMNS,
}


def describe(path: str | os.PathLike[str]) -> Description:
    """What a file, or the folder of an export, holds.

    Args:
        path: the file.

    Returns:
        Its description.

    Raises:
        InputError: if it does not exist, is damaged, or is nothing that is known.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "degu.json").is_file():
            raise InputError(f"{path} is a folder without degu.json; name an export, or a file.")
        path /= "degu.json"
    check_seal(path)
    with open(path, "rb") as stream:
        start = stream.read(4096)
    if start.startswith(_HDF5):
        described = _hdf5(path)
    elif start.lstrip()[:1] == b"{":
        described = _json(path)
    else:
        described = _table(path, start)
    if described is None:
        raise InputError(f"{path} is no file of degu that is known ({KNOWN}); name one of these.")
    return {"file": str(path), **described}


# HDF5


def _hdf5(path: Path) -> Description | None:
    with open_hdf5(path) as file:
        attributes, keys = set(file.attrs), set(file)
        for told, read in _HDF5_KINDS:
            if told(attributes, keys):
                return read(path, file)
    return None


def _dataset(path: Path, file: h5py.File) -> Description:
    info = read_info(path)
    fields = sorted({key for name in SPLITS for key in file[name]} - {"X", "y"})
    return {
        "kind": "data set",
        "source": info.source,
        "targets": list(info.targets),
        "units": info.units,
        "length": info.length,
        **({"flanks": list(info.flanks)} if any(info.flanks) else {}),
        "sequences": dict(info.sizes),
        "besides X and y": fields,
        "sha256": info.sha256,
    }


def _distillation(path: Path, file: h5py.File) -> Description:
    heads = json.loads(file.attrs["heads"])
    links = [file[name].get("X", getlink=True) for name in SPLITS]
    return {
        "kind": "distillation file",
        "arm": json.loads(file.attrs.get("arm", "{}")),
        "targets": heads["targets"],
        "labels": heads["kinds"],
        "sequences": {name: len(file[name]["y"]) for name in SPLITS},
        "X lies in": sorted({getattr(link, "filename", path.name) for link in links}),
        "data set": str(file.attrs["dataset_sha256"]),
    }


def _model(path: Path, file: h5py.File) -> Description:
    card = Card.read(file)
    return {
        "kind": f"model ({card.role})",
        **_card(card),
        "input": _input_shape(file.attrs["model_config"]),
        "parameters": _count(file["model_weights"]),
        "seed": card.seed,
        "loss": card.loss,
        "sha256": sha256_of(path),
        "architecture sha256": card.architecture_sha256,
        "versions": card.versions,
        **_beside(path, card),
    }


def _maps(path: Path, file: h5py.File) -> Description:
    card = Card.read(file)
    groups = [f"{t}/{k}" for t in card.heads.targets for k in card.heads.kinds]
    return {
        "kind": "attribution maps",
        "method": str(file.attrs["method"]),
        "shapes": {name: list(file[name]["maps"].shape) for name in groups if name in file},
        "hypothetical": any(f"{name}/hypothetical" in file for name in groups),
        "sequences sha256": str(file.attrs["sequences_sha256"]),
        **_card(card),
    }


def _own_maps(path: Path, file: h5py.File) -> Description:
    """Of ``degu attribute``, which has no card, since several models may have made it."""
    names = ("method", "target", "head", "kind", "units")
    return {
        "kind": "attribution maps",
        **{"of" if name == "kind" else name: str(file.attrs[name]) for name in names},
        "shape": list(file["maps"].shape),
        "models sha256": str(file.attrs["models_sha256"]),
    }


def _predictions(path: Path, file: h5py.File) -> Description:
    card = Card.read(file)
    shapes = {name: list(file[name].shape) for name in file if isinstance(file[name], h5py.Dataset)}
    shift = file.attrs.get("shift_sha256")
    return {
        "kind": "predictions" + " of shifted sequences" * (shift is not None),
        "shapes": shapes,
        **({"shift sha256": str(shift)} if shift is not None else {}),
        **_card(card),
    }


def _has(*names: str, keys: tuple[str, ...] = ()) -> Callable[[set[str], set[str]], bool]:
    return lambda attributes, there: set(names) <= attributes and set(keys) <= there


# The first that fits is it.
_HDF5_KINDS: tuple[
    tuple[Callable[[set[str], set[str]], bool], Callable[[Path, h5py.File], Description]], ...
] = (
    (_has("schema_version", "sha256", keys=SPLITS), _dataset),
    (_has("heads", "dataset_sha256", keys=SPLITS), _distillation),
    (_has("model_config", keys=("model_weights",)), _model),
    (_has("degu_heads", "method", "sequences_sha256"), _maps),
    (_has("method", "target", "models_sha256", keys=("maps",)), _own_maps),
    (_has("degu_heads"), _predictions),
)


def _card(card: Card) -> Description:
    arm = {
        name: getattr(card, name)
        for name in ("augmentation", "proportion", "size", "variant", "member")
        if getattr(card, name) is not None
    }
    return {
        "architecture": card.architecture,
        "arm": arm,
        "targets": list(card.heads.targets),
        "heads": list(card.heads.columns),
        **({"flanks": list(card.flanks)} if any(card.flanks) else {}),
        "data set": card.dataset_sha256,
    }


def _count(weights: h5py.Group) -> int:
    total = 0

    def add(_: str, item: h5py.Dataset | h5py.Group) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += prod(item.shape or ())

    weights.visititems(add)
    return total


def _input_shape(stored: str) -> list[int] | None:
    """Shape of one input of a stored Keras model, read without Keras; None if it is not told."""

    def shapes(value: Any) -> Iterator[list[Any]]:
        if isinstance(value, dict):
            for key, item in value.items():
                if key in ("batch_shape", "batch_input_shape") and isinstance(item, list):
                    yield item
                else:
                    yield from shapes(item)
        elif isinstance(value, list):
            for item in value:
                yield from shapes(item)

    first = next(shapes(json.loads(stored)), None)
    return None if first is None else first[1:]


def _beside(path: Path, card: Card) -> Description:
    """Performance and recalibration that lie beside a model, by the workflow's names."""
    found: Description = {}
    match = re.fullmatch(r"(\d+)_[A-Za-z0-9-]+?((?:_aug|_finetune)?)\.h5", path.name)
    if card.variant:
        match = re.fullmatch(rf"(\d+)_.*?_{card.variant}((?:_aug|_finetune)?)\.h5", path.name)
    stem = path.stem
    if match:
        stem = "_".join(filter(None, (match[1], card.variant)))
        performance = path.with_name(f"{stem}_performance{match[2]}.csv")
        if performance.is_file():
            found["performance on Test"] = _performance(performance)
    recalibration = path.with_name(f"{stem}_recalibration.json")
    if recalibration.is_file():
        own = Recalibration.read(recalibration)
        found["recalibration"] = {
            **_of_recalibration(own),
            "made for this model": own.model_sha256 == sha256_of(path),
        }
    return found


# JSON


def _json(path: Path) -> Description | None:
    if path.stat().st_size > _LARGEST_JSON:
        return None
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    if {"model_sha256", "std_floor", "targets"} <= set(content):
        return {"kind": "recalibration", **_of_recalibration(Recalibration.read(path))}
    if {"format", "student", "ensemble"} <= set(content):
        return _export(path, content)
    return None


def _of_recalibration(own: Recalibration) -> Description:
    each = zip(own.targets, own.scaling, own.aleatoric, own.mondrian, strict=True)
    return {
        "variance": own.variance,
        "validation sequences": own.n_validation,
        "targets": {
            target: {
                "scaling": scaling,
                "added variance": "the model's own" if aleatoric is None else aleatoric,
                "bins": len(mondrian.parts),
            }
            for target, scaling, aleatoric, mondrian in each
        },
        "model": own.model_sha256,
        "data set": own.dataset_sha256,
    }


def _export(path: Path, content: Mapping[str, Any]) -> Description:
    if content["format"] != FORMAT:
        raise InputError(
            f"{path} is of format {content['format']!r}, where this version knows {FORMAT}; "
            "install a newer degu-genomics."
        )
    names = [content["student"], content.get("recalibration"), *content["ensemble"]]
    home = path.parent.resolve()
    files = {str(name): (home / str(name)).resolve() for name in names if name}
    missing = [n for n, f in files.items() if not (f.is_file() and f.is_relative_to(home))]
    if missing:
        raise InputError(f"{path} names {missing[0]}, which is not there; copy the whole export.")
    student = path.parent / str(content["student"])
    with open_hdf5(student) as file:
        model = _model(student, file)
    return {
        "kind": "export",
        "student": model,
        "ensemble": len(content["ensemble"]),
        **{key: content[key] for key in ("units", "length", "card") if key in content},
    }


# Tables


def _table(path: Path, start: bytes) -> Description | None:
    try:
        header = next(csv.reader([start.decode("utf-8", "replace").split("\n", 1)[0].rstrip("\r")]))
    except (StopIteration, csv.Error):
        return None
    for kind, columns in _TABLES.items():
        if tuple(header) == tuple(columns):
            return _summary(path, kind, columns)
    if "metric" in header and len(header) > 1:
        return {"kind": "performance table", "performance": _performance(path)}
    return None


def _summary(path: Path, kind: str, columns: tuple[str, ...]) -> Description:
    if kind in ("summary of a study", "summary of uncertainties"):
        rows = tidy_rows(path, columns)
    else:
        import pandas as pd

        rows = pd.read_csv(path)
    described: Description = {"kind": kind, "rows": len(rows)}
    for name in ("role", "augmentation", "proportion", "size", "uncertainty", "target", "metric"):
        if name in rows:
            described[name] = [_plain(value) for value in rows[name].dropna().unique()]
    return described


def _performance(path: Path) -> Description:
    """Numbers of a performance table, by column and metric."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            records = list(csv.DictReader(stream))
        columns = [name for name in records[0] if name != "metric"]
        return {c: {row["metric"]: float(row[c]) for row in records} for c in columns}
    except (LookupError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path} is no whole performance table; delete it and run the workflow again."
        ) from error


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def as_text(described: Mapping[str, Any]) -> str:
    """A description as lines for a person."""
    return "\n".join(_lines(described, ""))


def _lines(described: Mapping[str, Any], indent: str) -> Iterator[str]:
    width = max((len(key) for key, value in described.items() if not _nested(value)), default=0)
    for key, value in described.items():
        if _nested(value):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{key + ':':<{width + 1}} {_word(value)}".rstrip()


def _nested(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return any(isinstance(item, dict) for item in value.values()) or len(value) > 4


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_word(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_word, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
