"""Figures, one a module; each drawn from tables and files, never from typed-in values."""
