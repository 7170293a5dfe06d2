"""Monte-Carlo dropout: mean and spread of passes through a teacher with its dropout on.

Gal & Ghahramani, "Dropout as a Bayesian approximation", ICML 2016. Nothing is trained. Batch norm
is in inference mode; ``precise`` leaves the teacher its averages, which are those without dropout,
and ``moving`` gives it those with dropout, as moving averages of its training would be (Li et al.,
CVPR 2019, on the shift of the variance in between).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from degu.baselines.baseline import Baseline
from degu.kinds import Config, Kind, aleatoric, replicates


def predictor(job: Any) -> Callable[[np.ndarray], np.ndarray]:
    """What predicts with a teacher's model, of a :class:`degu.jobs.predict.Prediction`."""
    from degu.training.batch_norm import PreciseAverages, drawn
    from degu.training.dropout import DropoutPasses, dropout_on

    if job.member.variant == "moving":
        x = job.train()
        with dropout_on(job.model):
            PreciseAverages(job.model, x[drawn(len(x), job.card.seed)])()
    means = job.card.heads.slice("mean")
    return DropoutPasses(job.model, job.seed, job.settings["passes"], means)


def _number(config: Config, size: int) -> int:
    return min(replicates(config, size), size)


KIND = Kind(
    "mc_dropout",
    role="mc_dropout",
    label="MC dropout",
    folder="baselines/mc_dropout",
    shift_folder="mc_dropout",
    number=_number,
    fields=("variant",),
    choices=lambda config: [
        {"variant": name} for name in config["baseline_settings"]["mc_dropout"]["batch_norm"]
    ],
    fixed=aleatoric,
    heads=("mean", "std"),
    phases={"standard": ("",), "evoaug": ("",)},
    borrows="teacher",
    predictor="degu.baselines.mc_dropout:predictor",
    settings=lambda config, wildcards: {
        "passes": config["baseline_settings"]["mc_dropout"]["passes"]
    },
)
BASELINE = Baseline(
    "mc_dropout",
    "MC dropout",
    of=("mc_dropout",),
    laws="degu.calibration.forms:with_std",
    kind=KIND,
)
