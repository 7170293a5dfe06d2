"""Predict every split with one teacher and score it on the test set."""

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
        snakemake.input.model, dataset_sha256=info.sha256, heads=Heads(info.targets)
    )
    predictions = predict_splits(model, snakemake.input.dataset, np.load(snakemake.input.subset))
    y = read_split(snakemake.input.dataset, "Test", fields=("y",)).y
    write_csv(performance_table(y, predictions["Test"], card.heads), snakemake.output.performance)
    write_predictions(snakemake.output.predictions, predictions, card)
