"""The library of scoring rules, imported in a third of a second rather than in six."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType


@cache
def scoring_rules() -> ModuleType:
    """``scoringrules``, whose NumPy backend is all that is used here.

    Where Numba is installed it would compile dozens of functions when it is imported, so for that
    moment Numba is not to be had. A process that has imported it already has it as it is.
    """
    hidden = "numba" not in sys.modules and "scoringrules" not in sys.modules
    if hidden:
        sys.modules["numba"] = None  # type: ignore[assignment]
    try:
        import scoringrules
    finally:
        if hidden:
            del sys.modules["numba"]
    return scoringrules
