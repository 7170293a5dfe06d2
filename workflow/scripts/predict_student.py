"""Predict every split with one student; score activities and uncertainty on the test set."""

from degu.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    set_compute_threads(snakemake.params.compute_threads)

    import numpy as np

    from degu.dataset import read_info, read_split
    from degu.files import write_csv
    from degu.heads import Heads
    from degu.members import predict_splits
    from degu.metrics import performance_table
    from degu.predictions import write_predictions
    from degu.training import load_model

    info = read_info(snakemake.input.dataset)
    model, card = load_model(
        snakemake.input.model,
        dataset_sha256=info.sha256,
        heads=Heads.student(info.targets, snakemake.wildcards.uncertainty),
    )
    predictions = predict_splits(model, snakemake.input.dataset, np.load(snakemake.input.subset))
    activity = read_split(snakemake.input.dataset, "Test", fields=("y",)).y
    y = np.concatenate([activity, np.load(snakemake.input.std_test)], axis=-1)
    write_csv(performance_table(y, predictions["Test"], card.heads), snakemake.output.performance)
    write_predictions(snakemake.output.predictions, predictions, card)
