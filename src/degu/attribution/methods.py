"""The registry of attribution methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """An attribution method, with the config's settings that it goes by."""

    name: str
    settings: Mapping[str, str]

    def settings_of(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """What its maps go by, of the config's section ``attribution``."""
        return {argument: section[key] for key, argument in self.settings.items()}


METHODS = {
    "saliency": Method("saliency", {}),
    "shap": Method("shap", {"references": "shared", "hypothetical": "hypothetical"}),
    "shap_dinuc_shuffle": Method(
        "shap_dinuc_shuffle", {"references": "shuffles", "hypothetical": "hypothetical"}
    ),
    "ism": Method("ism", {}),
}
