"""The validated config, the arms of the study, and the paths that rules share."""

import os
import sys
from dataclasses import asdict
from itertools import product

# The package as it lies here, whatever environment a job runs in.
sys.path.insert(0, f"{workflow.basedir}/src")

from degu import ingest
from degu.config import display_name, validate
from degu.errors import InputError
from degu.models import source_identity
from degu.runtime import share_import_path
from degu.stages import STAGES
from degu.sweep import derive_seed, expand_arms, format_proportion, pool_sizes

share_import_path(f"{workflow.basedir}/src")

try:
    config = validate(config, f"{workflow.basedir}/workflow/schemas/config.schema.yaml")
    ingest.preflight(config["data"], config["targets"])
    ARMS = expand_arms(config["arms"])
    ARCHITECTURE_SOURCE = source_identity(config["model"])
except InputError as error:
    sys.exit(f"error in the config: {error}")

TARGETS = config["targets"]
MODEL = display_name(config)
RESULTS = f"results/{config['dataset']}"
DATASET = f"{RESULTS}/dataset.h5"
POOL = f"{RESULTS}/{{augmentation}}/downsample_{{proportion}}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
TEACHER_JOB = "{augmentation}_{proportion}_{ix}"
ENSEMBLE_JOB = "{augmentation}_{proportion}_n{size}"
STUDENT_JOB = "{augmentation}_{proportion}_n{size}_{uncertainty}_{ix}"
RESOURCES = config["resources"]

# Conda environments with TensorFlow for a GPU only where jobs ask for one.
GPU = any(stage["gpu"] for stage in RESOURCES.values())
ENVIRONMENT = f"../envs/degu{'-gpu' if GPU else ''}.yaml"


wildcard_constraints:
    augmentation="standard|evoaug",
    proportion=r"[0-9.e-]+",
    size=r"\d+",
    ix=r"\d+",
    uncertainty="std|logvar",


def member_seed(role):
    """The seed of a rule's member, as a params function: all its wildcards are its identity."""

    def seed(wildcards):
        names = ("augmentation", "proportion", "size")
        identity = {name: wildcards[name] for name in names if name in wildcards.keys()}
        return derive_seed(config["seed"], role, member=wildcards.ix, **identity)

    return seed


def member_files(folder, identity):
    """A member's models, histories and predictions."""
    path = member_path(folder, identity)
    stages = [""] if identity["augmentation"] == "standard" else ["_aug", "_finetune"]
    models = [f"{path}_{MODEL}{stage}.h5" for stage in stages]
    histories = [f"{path}_history{stage}.csv" for stage in stages]
    return [*models, *histories, f"{path}_predictions.h5"]


def performance_tables(folder, identity):
    """A member's performance tables, each with its identity for the summary."""
    path = member_path(folder, identity)
    if identity["augmentation"] == "standard":
        return [(f"{path}_performance.csv", identity)]
    return [
        (f"{path}_performance_aug.csv", {**identity, "stage": "aug"}),
        # The fine-tuned model is the member.
        (f"{path}_performance_finetune.csv", identity),
    ]


def member_path(folder, identity):
    """What the names of all files of a member begin with."""
    values = {**identity, "proportion": format_proportion(identity["proportion"])}
    return f"{folder.format(**values)}/{identity['member']}"


def teacher_identities():
    """What tells each teacher of the study from the others."""
    for (augmentation, proportion), size in pool_sizes(ARMS).items():
        for ix in range(1, size + 1):
            yield {"augmentation": augmentation, "proportion": proportion, "member": ix}


def student_identities():
    """What tells each student of the study from the others."""
    replicates = range(1, config["students"]["replicates"] + 1)
    for arm, uncertainty in product(ARMS, config["students"]["uncertainty"]):
        for ix in replicates:
            yield {**asdict(arm), "member": ix, "uncertainty": uncertainty}


def ensemble_predictions(wildcards):
    """Predictions of the first n members."""
    pool = POOL.format(**wildcards)
    members = range(1, int(wildcards.size) + 1)
    return [f"{pool}/teachers/{ix}_predictions.h5" for ix in members]


def subset_sequences(wildcards):
    """The copied sequences of a subset; the whole training set needs none."""
    if float(wildcards.proportion) == 1:
        return []
    return f"{RESULTS}/subsets/downsample_{wildcards.proportion}.h5"
