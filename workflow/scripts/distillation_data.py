"""Write what the students of one ensemble learn from."""

from degu.dataset import read_info, read_subset
from degu.dataset.distillation import write_distillation
from degu.io.files import read_npy
from degu.ops.runtime import job_log
from degu.sweep import SPLITS, Arm

with job_log(snakemake.log[0]):
    files = snakemake.input
    arm = Arm.of(snakemake.wildcards).label
    label = {**arm, "dataset_sha256": read_info(files.dataset).sha256}

    def each(name):
        """What the ensemble says of each split, by its name in files."""
        return {
            split: read_npy(
                files[f"{name}_{split.lower()}"],
                dtype_kind="f",
                content=f"{name} of {split}",
                **label,
            )
            for split in SPLITS
        }

    write_distillation(
        snakemake.output.distillation,
        dataset=files.dataset,
        rows=read_subset(files.subset, files.dataset, proportion=arm["proportion"]),
        subset_sequences=files.get("subset_sequences") or None,
        mean_train=read_npy(files.mean_train, dtype_kind="f", content="mean of Train", **label),
        std=each("std"),
        aleatoric=each("aleatoric") if files.get("aleatoric_train") else None,
        **arm,
    )
