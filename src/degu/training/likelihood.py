"""Losses of heads that describe a distribution of the measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from degu.heads import Columns, Heads
from degu.kinds import named


class OfHeads(keras.losses.Loss):
    """The mean over targets of a function of the measurement and of a model's heads.

    Args:
        heads: names of the output columns.
        function: ``module:function`` of the columns of each kind of ``labels`` and then of heads,
            in their order, (B, ..., T) each, and of ``settings``; gives (B, ..., T).
        settings: arguments of the function.
        labels: names of the columns of what is measured; the mean alone by default.
    """

    def __init__(
        self,
        heads: Heads,
        function: str,
        settings: Mapping[str, Any] | None = None,
        labels: Columns | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": function.rpartition(":")[2], **kwargs})
        self.heads, self.function, self.settings = heads, function, dict(settings or {})
        self.labels = labels or Heads(heads.targets)
        self._of: Callable[..., Any] = named(function)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sequence, (B, ..., labels) and (B, ..., heads) to (B, ...).

        Raises:
            ValueError: for other shapes, which would be broadcast.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        y = ops.cast(y_true, y_pred.dtype)
        measured = len(self.labels)
        wanted = (*y_pred.shape[:-1], measured)
        if (
            y_pred.shape[-1] != len(self.heads)
            or len(y.shape) != len(wanted)
            or any(a != b for a, b in zip(y.shape, wanted, strict=True) if None not in (a, b))
        ):
            raise ValueError(
                f"A loss of {len(self.heads)} heads of {len(self.heads.targets)} targets takes "
                f"measurements (B, {measured}) and predictions (B, {len(self.heads)}), not "
                f"{tuple(y.shape)} and {tuple(y_pred.shape)}."
            )
        known = [y[..., self.labels.slice(kind)] for kind in self.labels.kinds]
        predicted = [y_pred[..., self.heads.slice(kind)] for kind in self.heads.kinds]
        return ops.mean(self._of(*known, *predicted, **self.settings), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """What decides it; it is in no file that is read."""
        own = {"heads": self.heads.to_json(), "function": self.function, "settings": self.settings}
        if self.labels.kinds != ("mean",):
            own["labels"] = list(self.labels.columns)
        return {**super().get_config(), **own}
