"""Figures of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from degu.study.study import Study


def files(study: Study, part: str) -> list[str]:
    """The figures of a part."""
    return []
