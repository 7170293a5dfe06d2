"""An example of an assay in files, as a person's own would lie there.

It is the assay of the embedded study (:mod:`degu.ingest.simulate`), as a table with replicates, its
test sequences as FASTA, and a config with the embedded study's small settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from degu.errors import InputError
from degu.ingest import SOURCES
from degu.ingest.simulate import TARGETS, preflight, simulate
from degu.io.files import atomic_folder
from degu.sequences import decode
from degu.sweep import derive_seed

_CONFIG = """\
# An example to start from: a simulated assay in a table of its own. Every key that may be here is
# described in config/README.md. Paths are seen from the folder in which the workflow is run.
dataset: example                 # results go to results/example/
data:
  source: table
  path: {path}
  sequence_column: sequence
  id_column: id
  split_column: split            # train, val, test
  replicates:                    # of each target; their mean is learned
    Dev: [Dev_rep1, Dev_rep2, Dev_rep3]
    Hk: [Hk_rep1, Hk_rep2, Hk_rep3]
targets: [Dev, Hk]
seed: {seed}

# What lets it finish in minutes; for an assay of your own leave out what is below.
model: compact
compute_threads: 1
ensemble_sizes: [8]
students: {{replicates: 3}}
baselines: [mc_dropout]
training: {{epochs: 60, patience: 7, lr_patience: 4, short_epoch: 0}}
student_training:
  {{epochs: 80, learning_rate: 0.002, patience: 6, lr_patience: 3, short_epoch: 0}}
finetuning: {{epochs: 4, batch_size: 64}}
student_finetuning: {{epochs: 4, batch_size: 64}}
dynamic_finetuning: {{epochs: 4, batch_size: 64}}
uncertainty: {{draws: 200}}
attribution: {{methods: [saliency, shap_dinuc_shuffle], references: 20}}
"""


def write_example(
    to: str | os.PathLike[str], sizes: Mapping[str, int], length: int, seed: int
) -> Path:
    """Write ``assay.tsv``, ``test.fa`` and ``config.yaml`` into a folder, all or none.

    Measurements have four decimals; sequences, splits and seeds are those of the source
    ``simulate`` with the same settings.

    Args:
        to: the folder to make; it may exist if it is empty.
        sizes: ``n_train``, ``n_val``, ``n_test``.
        length: bp.
        seed: of everything.

    Returns:
        Path of the config.

    Raises:
        InputError: for a folder that is not empty, or sizes and lengths that the simulation cannot
            give.
    """
    options = yaml.safe_load(SOURCES["simulate"].options.read_text(encoding="utf-8"))["properties"]
    data = {key: option["default"] for key, option in options.items()}
    data |= {**sizes, "length": length}
    preflight(data, TARGETS)
    for key in sizes:
        if data[key] < options[key]["minimum"]:
            raise InputError(
                f"{key}: {data[key]} sequences are too few; write at least "
                f"{options[key]['minimum']}."
            )
    number = range(1, data["replicates"] + 1)
    columns = [f"{target}_rep{i}" for target in TARGETS for i in number]
    with atomic_folder(to) as folder:
        with (folder / "assay.tsv").open("w") as table:
            print("id", "split", *columns, "sequence", sep="\t", file=table)
            for split, key in (("Train", "n_train"), ("Val", "n_val"), ("Test", "n_test")):
                made = simulate(
                    data[key],
                    **{k: data[k] for k in ("length", "replicates", "decoys", "noise", "rarity")},
                    seed=derive_seed(seed, "simulate", split=split),
                )
                name, values = split.lower(), made.replicates.transpose(1, 2, 0)
                rows = zip(decode(made.x), values.reshape(data[key], -1), strict=True)
                for i, (sequence, own) in enumerate(rows, start=1):
                    measured = (f"{value:.4f}" for value in own)
                    print(f"{name}_{i:06d}", name, *measured, sequence, sep="\t", file=table)
        with (folder / "test.fa").open("w") as fasta:
            for i, sequence in enumerate(decode(made.x), start=1):
                print(f">test_{i:06d}\n{sequence}", file=fasta)
        path = yaml.safe_dump(os.fspath(Path(to) / "assay.tsv"), width=4096).splitlines()[0]
        (folder / "config.yaml").write_text(_CONFIG.format(path=path, seed=seed), encoding="utf-8")
    return Path(to) / "config.yaml"
