"""Members that have failed: whose validation error lies far above those of their siblings.

They stay in their ensembles; the summary, the end of a run and ``status`` name them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from degu.io.summary import FAILED, tidy
from degu.study.config.wording import as_yaml
from degu.training.failed import failed
from degu.training.history import lowest_error, read_history

Identity = Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """A member that has failed.

    Attributes:
        place: of the member among those that were judged.
        error: its validation error, the smallest ``val_loss`` of its last phase.
        median: of its siblings and itself.
        siblings: how many these are, itself included.
    """

    place: int
    error: float
    median: float
    siblings: int


def failed_members(identities: Sequence[Identity], errors: Sequence[float]) -> list[Failed]:
    """The members that have failed among some, in their order.

    Siblings are members that nothing but their number tells apart: teachers of a pool, students of
    an arm, a kind of uncertainty and a variant. :func:`degu.training.failed.failed` has the rule.

    Args:
        identities: :attr:`degu.study.member.Member.identity` of each.
        errors: their validation errors; NaN leaves a member out.
    """
    groups: dict[frozenset[tuple[str, Any]], list[int]] = {}
    for place, (identity, error) in enumerate(zip(identities, errors, strict=True)):
        if error == error:
            shared = frozenset(item for item in identity.items() if item[0] != "member")
            groups.setdefault(shared, []).append(place)
    found = []
    for places in groups.values():
        own = np.array([errors[place] for place in places], dtype=np.float64)
        median = float(np.median(own))
        found += [
            Failed(place, float(error), median, len(own))
            for place, error, far in zip(places, own, failed(own), strict=True)
            if far
        ]
    return sorted(found, key=lambda one: one.place)


def validation_error(path: str | os.PathLike[str]) -> float:
    """A member's validation error, from its last phase's history; InputError if it is none."""
    return lowest_error(read_history(path))


def failed_rows(histories: Iterable[tuple[str | os.PathLike[str], Identity]]) -> pd.DataFrame:
    """Rows of the summary for members that have failed: how many times the median their error is.

    Args:
        histories: of each member its last phase's history, and its identity.

    Raises:
        InputError: if a file is no history.
    """
    known = [(identity, validation_error(path)) for path, identity in histories]
    identities = [identity for identity, _ in known]
    found = failed_members(identities, [error for _, error in known])
    return tidy(
        {**identities[one.place], "metric": FAILED, "value": one.error / one.median}
        for one in found
    )


def reseed_line(reseed: Sequence[str], models: Iterable[str]) -> str:
    """The line of the config that draws some models anew.

    Args:
        reseed: what the config has there already; a path that is given again takes a further seed.
        models: paths of the first phase.
    """
    return f"reseed: {as_yaml([*reseed, *models])}"
