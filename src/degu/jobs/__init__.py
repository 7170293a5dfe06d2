"""What one job of a study does: rule scripts read ``snakemake``, call it, and hold nothing else."""
