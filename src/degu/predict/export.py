"""What one publishes of an arm: one student, its ensemble, and all that says what they are.

==============================  ==============================================================
``degu.json``                   which file is which, for :class:`degu.predict.predictor.Predictor`
``student.h5``                  the replicate that validation chose
``student_recalibration.json``  what makes intervals of its predictions
``ensemble/1.h5``, ...          its teachers
``model_card.md``, ``.json``    data, training, performance, calibration, intended use, limits
``config.yaml``                 of the study with every default, where it is given
``requirements.txt``            versions that the student was trained with
``example.py``, ``.fa``         ten lines that run; test sequences
``example.tsv``                 what the study's student has predicted of these
``SHA256SUMS``                  of all these, for ``sha256sum -c``
==============================  ==============================================================
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from degu.calibration.laws import floored
from degu.calibration.recalibration import Recalibration
from degu.calibration.tables import ROW_COLUMNS
from degu.dataset import DatasetInfo, read_info, read_split, read_subset
from degu.errors import InputError
from degu.io.card import Card
from degu.io.files import MAKE_AGAIN, atomic_folder, sha256_of
from degu.io.hdf5 import open_hdf5
from degu.io.predictions import read_predictions
from degu.io.summary import performance_rows, tidy_rows
from degu.metrics import in_std_units
from degu.predict.model_card import as_markdown, limits_of
from degu.sequences import decode
from degu.study.kinds import STUDENT, TEACHER
from degu.study.layout import Layout
from degu.study.member import Member

PathLike = str | os.PathLike[str]

FORMAT = 1
"""Of ``degu.json``."""

CHOSEN_BY = (
    "mean over targets of the squared error of validation sequences, divided by the variance of "
    "their measurements"
)
"""By what the published replicate is chosen. Free of the targets' scales, as a correlation is; but
it also sees a prediction that is off by a constant or a factor, which intervals suffer from."""

_MODEL = re.compile(r"(\d+)_([A-Za-z0-9-]+)(_finetune)?\.h5")
_EXAMPLES = 5

_EXAMPLE = '''"""Activities of the sequences of example.fa, their std, and an interval for each."""
from pathlib import Path
from degu.genomics.files import read_sequences
from degu.predict.predictor import Predictor
from degu.sequences import letter_codes
here = Path(__file__).resolve().parent
model = Predictor.open([here])
for block in read_sequences(here / "example.fa", 1000):
    found = model.estimate(letter_codes(block.sequences), levels=[0.9])
    print(block.ids, model.targets, found.mean, found.std, found.intervals[0.9], sep="\\n")
'''


@dataclass(frozen=True)
class StudentsFolder:
    """Students of one kind of an arm, and what belongs to them in the results tree.

    Attributes:
        layout: of the study's results.
        students: one for each replicate that is there, by number.
    """

    layout: Layout
    students: tuple[Member, ...]

    @classmethod
    def of(cls, folder: PathLike) -> StudentsFolder:
        """The students of a folder ``.../students/n{size}/{std,logvar}``.

        Raises:
            InputError: if it is no such folder, is not in a study's results, or has no models, or
                those of several architectures.
        """
        path = Path(folder).resolve()
        parts = re.fullmatch(
            r"(.*)/(standard|evoaug)/downsample_([0-9.e-]+)/students/n(\d+)/(std|logvar)", str(path)
        )
        if parts is None or not path.is_dir():
            what = "is no folder" if not path.is_dir() else "is no folder of an arm's students"
            raise InputError(
                f"{folder} {what}; name one such as "
                "results/my_assay/standard/downsample_1/students/n10/std."
            )
        results, augmentation, proportion, size, uncertainty = parts.groups()
        arm = augmentation, float(proportion)
        fields: dict[str, Any] = {"size": int(size), "uncertainty": uncertainty}
        suffix = "_finetune" if len(STUDENT.phases[augmentation]) > 1 else None
        found = {
            int(match[1]): match[2]
            for match in map(_MODEL.fullmatch, sorted(os.listdir(path)))
            if match and match[2] != "predictions" and match[3] == suffix
        }
        names = sorted(set(found.values()))
        if len(names) != 1:
            what = f"models called {' and '.join(names)}" if names else "no trained students"
            raise InputError(
                f"{folder} has {what}; let the workflow finish, and name a folder of one model."
            )
        targets = read_info(f"{results}/dataset.h5").targets
        return cls(
            Layout(results, names[0], targets, top_n=0),
            tuple(Member(STUDENT, *arm, ix, **fields) for ix in sorted(found)),
        )

    @cached_property
    def info(self) -> DatasetInfo:
        """What the data set says of itself."""
        return read_info(self.layout.dataset)

    @property
    def teachers(self) -> list[Member]:
        """The members of the ensemble that the students were taught by."""
        one = self.students[0]
        numbers = range(1, int(one.size or 0) + 1)
        return [Member(TEACHER, one.augmentation, one.proportion, ix) for ix in numbers]

    def card(self, member: Member) -> Card:
        """The card of a member's model; InputError if it is not of this arm and data set."""
        path = self.layout.model(member)
        with open_hdf5(path) as file:
            card = Card.read(file)
            stored = "model_config" in file.attrs
        if not stored:
            raise InputError(f"{path} holds no model; {MAKE_AGAIN}.")
        card.check(path, **member.card_fields, dataset_sha256=self.info.sha256)
        return card

    def validation_errors(self) -> dict[int, float]:
        """Of each replicate its error on validation sequences (:data:`CHOSEN_BY`)."""
        y = read_split(self.layout.dataset, "Val", fields=("y",)).y.astype(np.float64)
        variance = y.var(axis=0)
        errors = {}
        for member in self.students:
            path = self.layout.predictions(member)
            values, card = read_predictions(path, ("Val",))
            card.check(path, **member.card_fields, dataset_sha256=self.info.sha256)
            squares = np.square(values["Val"][:, card.heads.slice("mean")] - y).mean(axis=0)
            errors[int(member.member)] = float(np.mean(squares / np.where(variance, variance, 1)))
        return errors


def export(folder: PathLike, to: PathLike, config: Mapping[str, Any] | None = None) -> Path:
    """Write an export of an arm's students, whole or not at all.

    Args:
        folder: of the students, ``.../students/n{size}/{std,logvar}``.
        to: the folder to make; it may exist if it is empty.
        config: of the study, validated; None where it is not known.

    Returns:
        The folder that was made.

    Raises:
        InputError: if anything that belongs to it is missing or not of this arm, or ``to`` has
            something in it; names the file.
    """
    arm = StudentsFolder.of(folder)
    errors = arm.validation_errors()
    chosen = next(m for m in arm.students if m.member == min(errors, key=lambda ix: errors[ix]))
    card = arm.card(chosen)
    if config is not None:
        _check_config(config, arm, card)
    files = {arm.layout.model(chosen): "student.h5"}
    recalibration = _check_recalibration(arm, chosen)
    files[recalibration] = "student_recalibration.json"
    for teacher in arm.teachers:
        arm.card(teacher).check(arm.layout.model(teacher), heads=card.heads.of_members)
        files[arm.layout.model(teacher)] = f"ensemble/{teacher.member}.h5"
    described = _describe(arm, chosen, card, errors, config is not None)
    with atomic_folder(to) as new:
        (new / "ensemble").mkdir()
        for source, name in files.items():
            shutil.copyfile(source, new / name)
        _write_json(
            new / "degu.json",
            {
                "format": FORMAT,
                "student": "student.h5",
                "ensemble": [name for name in files.values() if name.startswith("ensemble/")],
                "recalibration": "student_recalibration.json",
                "card": "model_card.json",
                "targets": list(arm.info.targets),
                "units": arm.info.units,
                "length": arm.info.length,
                "flanks": list(card.flanks),
            },
        )
        _write_json(new / "model_card.json", described)
        (new / "model_card.md").write_text(as_markdown(described), encoding="utf-8")
        if config is not None:
            text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
            (new / "config.yaml").write_text(text, encoding="utf-8")
        (new / "requirements.txt").write_text(_requirements(card))
        (new / "example.py").write_text(_EXAMPLE)
        _write_example(new, arm, chosen)
        _write_checksums(new)
    return Path(to)


def _check_config(config: Mapping[str, Any], arm: StudentsFolder, card: Card) -> None:
    said = {
        "dataset": (config["dataset"], Path(arm.layout.results).name),
        "targets": (tuple(config["targets"]), arm.info.targets),
        "model": (config["model"], card.architecture),
    }
    for key, (got, wanted) in said.items():
        if got != wanted:
            raise InputError(
                f"The config has {key} {got!r}, where these results have {wanted!r}; name the "
                "config that they were made with."
            )


def _check_recalibration(arm: StudentsFolder, chosen: Member) -> str:
    path, model = arm.layout.recalibration(chosen), arm.layout.model(chosen)
    recalibration = Recalibration.read(path)
    if recalibration.model_sha256 != sha256_of(model):
        raise InputError(f"{path} was not made for {model}; delete it and run the workflow again.")
    return path


def _describe(
    arm: StudentsFolder,
    chosen: Member,
    card: Card,
    errors: Mapping[int, float],
    has_config: bool,
) -> dict[str, Any]:
    """The model card, as JSON has it."""
    layout, info = arm.layout, arm.info
    rows = read_subset(layout.subset(chosen), layout.dataset, proportion=chosen.proportion)
    return {
        "format": FORMAT,
        "name": f"{Path(layout.results).name}, {chosen.augmentation}, proportion "
        f"{chosen.wildcards['proportion']}, student of {chosen.size} teachers "
        f"({chosen.uncertainty})",
        "data": {
            "name": Path(layout.results).name,
            "source": info.source,
            "targets": list(info.targets),
            "units": info.units,
            "length": info.length,
            "flanks": list(card.flanks),
            "sizes": dict(info.sizes),
            "trained_on": len(rows),
            "sha256": info.sha256,
        },
        "training": {
            "architecture": card.architecture,
            "augmentation": chosen.augmentation,
            "proportion": chosen.proportion,
            "ensemble_size": chosen.size,
            "uncertainty": chosen.uncertainty,
            "seed": card.seed,
            "replicate": chosen.member,
            "replicates": len(errors),
            "chosen_by": CHOSEN_BY,
            "validation_errors": {str(ix): error for ix, error in errors.items()},
            "config": "config.yaml" if has_config else None,
        },
        "performance": _performance(arm, chosen),
        "calibration": _calibration(arm, chosen),
        "intended_use": (
            f"Activity of sequences of {info.length} bp in the assay that the data are of, with an "
            "uncertainty and an interval for a new measurement of each."
        ),
        "limits": limits_of(info, card),
        "versions": card.versions,
    }


def _performance(arm: StudentsFolder, chosen: Member) -> list[dict[str, Any]]:
    """Test performance by target and metric: of single teachers (mean and std over them), of their
    ensemble, of the student; and how well the student predicts the ensemble's std."""
    layout, targets = arm.layout, arm.info.targets

    def of(path: str, **identity: Any) -> pd.DataFrame:
        rows = performance_rows(path, targets, identity)
        return rows[rows["ddof"].isna() | (rows["ddof"] == 0)]

    def final(member: Member) -> str:
        return layout.performance(member, member.phases[-1])

    singles = pd.concat([of(final(teacher), member=teacher.member) for teacher in arm.teachers])
    ensemble, student = of(layout.ensemble_performance(chosen)), of(final(chosen), size=chosen.size)
    key = ["target", "head", "metric"]
    by_single = singles.groupby(key)["value"]
    spread = by_single.std() if len(arm.teachers) > 1 else by_single.mean() * np.nan
    columns = {
        "single": by_single.mean(),
        "single_std": spread,
        "ensemble": ensemble.set_index(key)["value"],
        "student": student.set_index(key)["value"],
    }
    found = []
    for record in student[key].to_dict("records"):
        own: dict[Any, Any] = dict(record)
        place = tuple(own.values())
        numbers = {name: _plain(values.get(place)) for name, values in columns.items()}
        found.append({**own, **numbers})
    return found


def _calibration(arm: StudentsFolder, chosen: Member) -> list[dict[str, Any]]:
    """Coverage and mean width of the student's intervals on Test, by recalibration and level."""
    paths = (arm.layout.judged(chosen, "summary"), arm.layout.uncertainty("summary"))
    path = next(filter(os.path.exists, paths), None)
    if path is None:
        raise InputError(
            f"{paths[0]} is missing, so that nothing is known of the coverage of intervals; make "
            "it with the workflow's target `uncertainty`."
        )
    rows = tidy_rows(path, ROW_COLUMNS)
    for name, value in chosen.identity.items():
        rows = rows[rows[name] == value]
    rows = rows[(rows["variance"] == "total") & rows["bin"].isna() & rows["shift"].isna()]
    rows = rows[rows["metric"].isin(["PICP", "MPIW"]) & rows["level"].notna()]
    found: dict[tuple[Any, ...], dict[Any, Any]] = {}
    names = {"PICP": "coverage", "MPIW": "width"}
    for row in rows.to_dict("records"):
        key = {name: row[name] for name in ("target", "recalibration", "level")}
        own = found.setdefault(tuple(key.values()), key)
        own[names[row["metric"]]] = _plain(row["value"])
    if not found:
        raise InputError(f"{path} has no coverage of {arm.layout.model(chosen)}; make it again.")
    return list(found.values())


def _plain(value: Any) -> float | None:
    """A number as JSON has it; None where there is none."""
    return None if value is None or not np.isfinite(value) else float(value)


def _requirements(card: Card) -> str:
    """What pip installs the student's versions from."""
    names = {"degu": "degu-genomics"}
    python = card.versions.get("python", "unknown")
    lines = [
        f"{names.get(name, name)}=={version}"
        for name, version in card.versions.items()
        if name != "python"
    ]
    return "\n".join([f"# Python {python}", *lines]) + "\n"


def _write_example(new: Path, arm: StudentsFolder, chosen: Member) -> None:
    """Some test sequences, and what the study's student has predicted of them."""
    rows = np.arange(min(_EXAMPLES, arm.info.sizes["Test"]))
    split = read_split(arm.layout.dataset, "Test", rows=rows, fields=("x", "id"))
    ids = [f"test_{row + 1}" for row in rows] if split.id is None else list(map(str, split.id))
    ids = [re.sub(r"\s", "_", name) for name in ids]
    records = (f">{name}\n{text}\n" for name, text in zip(ids, decode(split.x), strict=True))
    (new / "example.fa").write_text("".join(records), encoding="utf-8")
    values, card = read_predictions(arm.layout.predictions(chosen), ("Test",))
    heads, numbers = in_std_units(card.heads, values["Test"][rows])
    columns = {}
    for target in heads.targets:
        columns[target] = numbers[:, heads.column(target)]
        columns[f"{target}_std"], _ = floored(numbers[:, heads.column(target, "std")])
    pd.DataFrame({"id": ids, **columns}).to_csv(
        new / "example.tsv", sep="\t", index=False, float_format="%.6g"
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _write_checksums(folder: Path) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths)
    text = "".join(lines)
    (folder / "SHA256SUMS").write_text(text)


def read_config(paths: Sequence[PathLike]) -> dict[str, Any]:
    """The config that files laid over each other mean, as Snakemake's ``--configfile`` does it.

    Raises:
        InputError: if one cannot be read, or what they mean is not valid.
    """
    from degu.study.config import refuse_duplicate_keys, validate

    refuse_duplicate_keys(paths)
    merged: dict[str, Any] = {}
    for path in paths:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise InputError(f"{path} holds no keys; write a config such as config/config.yaml.")
        merged = _laid_over(merged, content)
    return validate(merged)


def _laid_over(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}
