"""A baseline: how a study is judged beside its students, and from whose predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from degu.kinds import Kind, named

if TYPE_CHECKING:
    from degu.calibration.forms import Form


@dataclass(frozen=True)
class Baseline:
    """A way to predict an activity and its uncertainty, to compare students with.

    Attributes:
        name: in ``baselines`` of the config, and its role in ``uncertainty_summary.csv``.
        label: its name in figures.
        of: kinds of the models whose predictions it is computed from.
        laws: ``module:function``, the form of its predictions (:mod:`degu.calibration.forms`).
        kind: of the models that it needs trained, or predicting, beside teachers and students.
        ensemble: whether it is one of all models of an arm (of a pool's the first n), and not one
            of each model.
    """

    name: str
    label: str
    of: tuple[str, ...]
    laws: str
    kind: Kind | None = None
    ensemble: bool = False

    @property
    def laws_of(self) -> Form:
        """The function that ``laws`` names."""
        return named(self.laws)
