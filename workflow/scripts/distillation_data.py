"""Write what the students of one ensemble learn from."""

from degu.dataset import read_info, read_subset
from degu.dataset.distillation import write_distillation
from degu.io.files import read_npy
from degu.ops.runtime import job_log
from degu.sweep import Arm

with job_log(snakemake.log[0]):
    files = snakemake.input
    arm = Arm.of(snakemake.wildcards).label
    label = {**arm, "dataset_sha256": read_info(files.dataset).sha256}
    write_distillation(
        snakemake.output.distillation,
        dataset=files.dataset,
        rows=read_subset(files.subset, files.dataset, proportion=arm["proportion"]),
        subset_sequences=files.get("subset_sequences") or None,
        mean_train=read_npy(files.mean_train, dtype_kind="f", content="mean of Train", **label),
        std={
            name: read_npy(path, dtype_kind="f", content=f"std of {name}", **label)
            for name, path in {
                "Train": files.std_train,
                "Val": files.std_val,
                "Test": files.std_test,
            }.items()
        },
        **arm,
    )
