"""Python's own hook at start: every process of a test's Snakemake knows the extensions."""

import extensions

extensions.register()
