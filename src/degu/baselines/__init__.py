"""Baselines, by their names in a config; each is a file of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from degu.baselines import (
    beta_nll,
    cauchy,
    constant,
    evidential,
    heteroscedastic,
    heteroscedastic_ensemble,
    laplace,
    mc_dropout,
    mean_student,
    mixed_ensemble,
    residual,
)
from degu.baselines.baseline import Baseline
from degu.kinds import BUILT_IN

BASELINES: dict[str, Baseline] = {}
"""By name, in the order in which tables and figures have them."""


def register(baseline: Baseline) -> None:
    """Enter a baseline in the registry.

    Raises:
        ValueError: if its name is taken, also by another kind of model, or its models are of a pool
            and have attribution maps, which are compared within an arm.
    """
    kind = baseline.kind
    others = [b.kind for b in BASELINES.values() if b.kind and b.kind != kind]
    if baseline.name in (*BUILT_IN, "ensemble", *BASELINES):
        raise ValueError(f"There is a kind of model {baseline.name} already.")
    if kind and kind.name in (*BUILT_IN, *(other.name for other in others)):
        raise ValueError(f"There is a kind of model {kind.name} already.")
    if kind and kind.of_pool and (kind.maps_folder or kind.together):
        raise ValueError(
            f"{kind.name}: of the kinds without `size` among their fields teachers alone have "
            "maps, and each model has a job of its own."
        )
    BASELINES[baseline.name] = baseline


@contextmanager
def registered(baseline: Baseline) -> Iterator[Baseline]:
    """Have a baseline in the registry for a while."""
    register(baseline)
    try:
        yield baseline
    finally:
        del BASELINES[baseline.name]


for _module in (
    residual,
    constant,
    mean_student,
    mc_dropout,
    heteroscedastic,
    beta_nll,
    laplace,
    cauchy,
    evidential,
    heteroscedastic_ensemble,
    mixed_ensemble,
):
    register(_module.BASELINE)
