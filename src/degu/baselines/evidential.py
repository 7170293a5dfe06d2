"""Deep evidential regression: a distribution over the mean and the variance of a measurement.

Amini, Schwarting, Soleimany & Rus, "Deep evidential regression", NeurIPS 2020. A model predicts a
normal-inverse-gamma law (mean γ, ν, α, β), of which a measurement follows Student's t with 2α
degrees of freedom, location γ and scale √(β(1+ν)/(να)). The epistemic part is not identified by the
data (Meinert, Gawlikowski & Lavin, "The unreasonable effectiveness of deep evidential regression",
AAAI 2023): ν is what the penalty and the start of the training make of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from degu.baselines.baseline import Baseline
from degu.kinds import Kind, replicates

if TYPE_CHECKING:
    from degu.calibration.laws import Law
    from degu.heads import Heads

OUTPUTS = (float(np.log(1e-6)), 1e6)
"""Least and largest output before the softplus, which so gives from a millionth to a million.
Beyond them the loss and the law take the nearest, so that gradients stay finite."""

# Beyond so many steps of the recurrence the series is exact to a float32.
_STEPS = 4


def nll(y: Any, mean: Any, nu: Any, alpha: Any, beta: Any) -> Any:
    """Negative log density of Student's t laws, element by element (equation 8).

    Args:
        y, mean: in units of the target.
        nu, alpha, beta: before the softplus; α is one more.
    """
    from keras import ops

    nu, excess, beta = (ops.softplus(ops.clip(raw, *OUTPUTS)) for raw in (nu, alpha, beta))
    alpha = 1 + excess
    omega = 2 * beta * (1 + nu)
    # The equation's two terms with Ω, without the difference of large numbers.
    spread = 0.5 * (np.log(np.pi) - ops.log(nu) + ops.log(omega))
    distance = ops.log1p(nu * ops.square(y - mean) / omega)
    return spread + (alpha + 0.5) * distance - _log_gamma_ratio(alpha)


def _log_gamma_ratio(x: Any) -> Any:
    """log Γ(x + ½) − log Γ(x) for x ≥ 1, to 1e-7: the recurrence, and then Stirling's series."""
    from keras import ops

    ratio = 0.0
    for k in range(_STEPS):
        ratio += ops.log1p(0.5 / (x + k))
    far = x + _STEPS
    inverse = 1 / far
    series = ops.square(inverse)
    series = inverse * (-1 / 8 + series * (1 / 192 - series / 640))
    return 0.5 * ops.log(far) + series - ratio


def penalized_nll(y: Any, mean: Any, nu: Any, alpha: Any, beta: Any, penalty: float) -> Any:
    """The loss with evidence penalised where the mean is wrong (equations 9 and 10)."""
    from keras import ops

    positive = [ops.softplus(ops.clip(raw, *OUTPUTS)) for raw in (nu, alpha)]
    evidence = 2 * positive[0] + 1 + positive[1]
    return nll(y, mean, nu, alpha, beta) + penalty * ops.abs(y - mean) * evidence


def losses(heads: Heads, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The losses of training and of validation, the likelihood without the penalty."""
    from degu.training.likelihood import OfHeads

    loss = OfHeads(heads, "degu.baselines.evidential:penalized_nll", settings)
    return loss, OfHeads(heads, "degu.baselines.evidential:nll")


def laws(
    predictions: Sequence[Mapping[str, np.ndarray]],
    heads: Heads,
    target: str,
    split: str,
    residual: float,
) -> dict[str, Law]:
    """Student's t, and Gaussians of the aleatoric variance β/(α−1) and epistemic β/(ν(α−1))."""
    from degu.calibration.laws import Gaussian, StudentT, floored

    (prediction,) = predictions
    values = np.asarray(prediction[split], np.float64)
    mean = values[:, heads.column(target)]
    raw = (values[:, heads.column(target, kind)] for kind in ("nu", "alpha", "beta"))
    nu, excess, beta = (np.logaddexp(0, np.clip(column, *OUTPUTS)) for column in raw)
    aleatoric, _ = floored(np.sqrt(beta / excess))
    epistemic, _ = floored(np.sqrt(beta / (nu * excess)))
    alpha = 1 + excess
    return {
        "epistemic": Gaussian(mean, epistemic),
        "aleatoric": Gaussian(mean, aleatoric),
        "total": StudentT(2 * alpha, mean, np.sqrt(beta * (1 + nu) / (nu * alpha))),
    }


KIND = Kind(
    "evidential",
    role="evidential",
    label="evidential",
    folder="baselines/evidential",
    shift_folder="evidential",
    number=replicates,
    heads=("mean", "nu", "alpha", "beta"),
    losses="degu.baselines.evidential:losses",
    loss_settings=lambda config, wildcards: config["baseline_settings"]["evidential"],
)
BASELINE = Baseline(
    "evidential", "evidential", of=("evidential",), laws="degu.baselines.evidential:laws", kind=KIND
)
