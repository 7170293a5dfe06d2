"""Losses of heads that describe a distribution of the measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from degu.heads import Heads
from degu.kinds import named


class OfHeads(keras.losses.Loss):
    """The mean over targets of a function of the measurement and of a model's heads.

    Args:
        heads: names of the output columns.
        function: ``module:function`` of the measurement and of the heads of each kind in their
            order, (B, ..., T) each, and of ``settings``; gives (B, ..., T).
        settings: arguments of the function.
    """

    def __init__(
        self,
        heads: Heads,
        function: str,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": function.rpartition(":")[2], **kwargs})
        self.heads, self.function, self.settings = heads, function, dict(settings or {})
        self._of: Callable[..., Any] = named(function)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sequence, (B, ..., T) and (B, ..., heads) to (B, ...).

        Raises:
            ValueError: for other shapes, which would be broadcast.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        y = ops.cast(y_true, y_pred.dtype)
        targets = len(self.heads.targets)
        wanted = (*y_pred.shape[:-1], targets)
        if (
            y_pred.shape[-1] != len(self.heads)
            or len(y.shape) != len(wanted)
            or any(a != b for a, b in zip(y.shape, wanted, strict=True) if None not in (a, b))
        ):
            raise ValueError(
                f"A loss of {len(self.heads)} heads of {targets} targets takes measurements "
                f"(B, {targets}) and predictions (B, {len(self.heads)}), not {tuple(y.shape)} and "
                f"{tuple(y_pred.shape)}."
            )
        columns = [y_pred[..., self.heads.slice(kind)] for kind in self.heads.kinds]
        return ops.mean(self._of(y, *columns, **self.settings), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """What decides it; it is in no file that is read."""
        own = {"heads": self.heads.to_json(), "function": self.function, "settings": self.settings}
        return {**super().get_config(), **own}
