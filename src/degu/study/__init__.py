"""What a config means: kinds of model, members, files, parts. Neither TensorFlow nor Snakemake."""
