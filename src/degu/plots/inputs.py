"""What a figure of the catalogue is drawn from, as its rule gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import pandas as pd

from degu.dataset import DatasetInfo, read_info
from degu.io.summary import COLUMNS, Identity, tidy_rows
from degu.plots.tables import describe
from degu.sweep import Arm


@dataclass(frozen=True)
class Inputs:
    """The files of one figure, and what it shows.

    Args:
        files: paths by the names of the figure's source (``dataset``, ``table``, ``maps``, ...;
            :mod:`degu.study.figures`), each a path or a list of paths.
        arm, target, method: of a figure that there is one of for each.
        settings: values of the config by the keys that the catalogue lists.
        members: identities, in the order of the paths of the same name.
    """

    files: Mapping[str, Any]
    arm: Arm | None = None
    target: str = ""
    method: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    members: Mapping[str, Sequence[Identity]] = field(default_factory=dict)

    @classmethod
    def of_job(cls, files: Mapping[str, Any], wildcards: Mapping[str, str], **more: Any) -> Self:
        """Those of a job, by its named inputs and its wildcards."""
        named: dict[str, Any] = {
            key: wildcards[key] for key in ("target", "method") if key in wildcards
        }
        if "size" in wildcards:
            named["arm"] = Arm(
                wildcards["augmentation"], float(wildcards["proportion"]), int(wildcards["size"])
            )
        return cls(files, **named, **more)

    @cached_property
    def info(self) -> DatasetInfo:
        """Targets and units of the data set."""
        return read_info(self.files["dataset"])

    @property
    def units(self) -> str:
        """Units of the assay."""
        return self.info.units

    @property
    def arm_name(self) -> str:
        """The arm, for a title."""
        assert self.arm is not None
        arm = self.arm
        return describe(arm.augmentation, proportion=arm.proportion, size=arm.size)

    def table(self, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
        """The table that the figure is drawn from, with the columns of ``summary.csv``."""
        return tidy_rows(self.files["table"], columns)
