"""Mean and population std of the first n members."""

from degu.dataset import read_info
from degu.io.files import write_npy
from degu.io.predictions import read_ensemble
from degu.ops.runtime import job_log
from degu.sweep import Arm
from degu.uncertainty import ensemble_mean, uncertainty_std

with job_log(snakemake.log[0]):
    arm = Arm.of(snakemake.wildcards).label
    label = {**arm, "dataset_sha256": read_info(snakemake.input.dataset).sha256}
    predictions, _ = read_ensemble(
        snakemake.input.predictions, role="teacher", **{**label, "size": None}
    )
    mean = ensemble_mean(predictions["Train"])
    write_npy(mean, snakemake.output.mean_train, content="mean of Train", **label)
    for name, path in {
        "Train": snakemake.output.std_train,
        "Val": snakemake.output.std_val,
        "Test": snakemake.output.std_test,
    }.items():
        write_npy(uncertainty_std(predictions[name]), path, content=f"std of {name}", **label)
