"""Write what the students of one ensemble learn from."""

import numpy as np

from degu.distillation import write_distillation
from degu.runtime import job_log

with job_log(snakemake.log[0]):
    write_distillation(
        snakemake.output.distillation,
        dataset=snakemake.input.dataset,
        rows=np.load(snakemake.input.subset),
        subset_sequences=snakemake.input.get("subset_sequences") or None,
        mean_train=np.load(snakemake.input.mean_train),
        std={
            "Train": np.load(snakemake.input.std_train),
            "Val": np.load(snakemake.input.std_val),
            "Test": np.load(snakemake.input.std_test),
        },
    )
