"""Kinds of model that a study trains, each in a line of a registry."""

from __future__ import annotations

from typing import Any

BASELINES: dict[str, Any] = {}
"""Kinds that a config may list under ``baselines``, by name."""
