"""The command ``degu``: one command a module, each imported when it is called.

Modules of this package import nothing heavy at their top: ``degu --help`` answers at once.
"""
