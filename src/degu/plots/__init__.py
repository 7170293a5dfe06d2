"""Figures, one idea a module; each drawn from tables, never from typed-in values."""
