"""The project's own errors: one sentence that a person can act on.

Rule scripts and the Snakefile print it without a traceback.
"""


class DeguError(Exception):
    """Any of the project's own errors."""


class InputError(DeguError, ValueError):
    """Something a person wrote or supplied (config, data file, model file) cannot be used.

    The message is one sentence that names the file, the row or key, and the remedy.
    """


class DivergedError(DeguError, RuntimeError):
    """A model's loss is no longer a finite number."""
