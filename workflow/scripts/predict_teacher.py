"""Predict every split with one teacher and score it on the test set."""

from degu.ops.devices import claim
from degu.ops.runtime import job_log, set_compute_threads

with job_log(snakemake.log[0]):
    claim(snakemake.resources.gpu, required=snakemake.config["require_gpu"])
    set_compute_threads(snakemake.params.compute_threads)

    from degu.dataset import read_info, read_split, read_subset
    from degu.heads import Heads
    from degu.io.card import member_identity
    from degu.io.files import write_csv
    from degu.io.predictions import write_predictions
    from degu.jobs.predict import predict_splits
    from degu.metrics import performance_table
    from degu.models.files import load_model
    from degu.training.batches import predict

    info = read_info(snakemake.input.dataset)
    expected = {
        **member_identity("teacher", **dict(snakemake.wildcards.items())),
        "architecture": snakemake.params.architecture,
        "dataset_sha256": info.sha256,
        "heads": Heads(info.targets),
    }
    test = read_split(snakemake.input.dataset, "Test")
    y = test.y

    if "model_aug" in snakemake.input.keys():
        model, card = load_model(snakemake.input.model_aug, **expected)
        table = performance_table(y, predict(model, test.x), card.heads)
        write_csv(table, snakemake.output.performance_aug)

    model, card = load_model(snakemake.input.model, **expected)
    rows = read_subset(snakemake.input.subset, snakemake.input.dataset, proportion=card.proportion)
    predictions = predict_splits(model, snakemake.input.dataset, rows)
    write_csv(performance_table(y, predictions["Test"], card.heads), snakemake.output.performance)
    write_predictions(snakemake.output.predictions, predictions, card)
