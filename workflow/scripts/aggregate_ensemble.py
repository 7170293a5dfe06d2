"""Mean, population std and test performance of the first n members."""

from degu.dataset import read_info, read_split
from degu.files import write_csv, write_npy
from degu.metrics import performance_table
from degu.predictions import read_ensemble
from degu.runtime import job_log
from degu.uncertainty import ensemble_mean, uncertainty_std

with job_log(snakemake.log[0]):
    predictions, card = read_ensemble(
        snakemake.input.predictions,
        role="teacher",
        augmentation=snakemake.wildcards.augmentation,
        proportion=float(snakemake.wildcards.proportion),
        dataset_sha256=read_info(snakemake.input.dataset).sha256,
    )
    y = read_split(snakemake.input.dataset, "Test", fields=("y",)).y
    performance = performance_table(y, ensemble_mean(predictions["Test"]), card.heads)
    write_csv(performance, snakemake.output.performance)
    write_npy(ensemble_mean(predictions["Train"]), snakemake.output.mean_train)
    write_npy(uncertainty_std(predictions["Train"]), snakemake.output.std_train)
    write_npy(uncertainty_std(predictions["Val"]), snakemake.output.std_val)
    write_npy(uncertainty_std(predictions["Test"]), snakemake.output.std_test)
