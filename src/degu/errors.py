"""The project's own errors: one sentence that a person can act on."""


class InputError(ValueError):
    """Something a person wrote or supplied (config, data file, model file) cannot be used.

    The message is one sentence that names the file, the row or key, and the remedy. Rule scripts
    and the Snakefile print it without a traceback.
    """
