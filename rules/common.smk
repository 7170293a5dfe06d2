"""The validated config, the arms of the study, and the paths that rules share."""

import copy
import os
import re
import sys
from dataclasses import asdict
from itertools import product

# The package as it lies here, whatever environment a job runs in.
sys.path.insert(0, f"{workflow.basedir}/src")

from degu import ingest
from degu.augment import used_settings
from degu.study.config.meaning import display_name
from degu.study.config.files import refuse_duplicate_keys
from degu.study.config.validate import validate
from degu.errors import InputError
from degu.models.registry import source_identity
from degu.ops.runtime import share_import_path
from degu.io.versions import STAGES
from degu.sweep import (
    Variant,
    choose_arms,
    derive_seed,
    expand_arms,
    format_proportion,
    pool_sizes,
    sweeps,
)

share_import_path(f"{workflow.basedir}/src")

GIVEN_CONFIG = copy.deepcopy(config)
try:
    refuse_duplicate_keys(workflow.configfiles)
    config = validate(config)
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
DYNAMIC_JOB = "{augmentation}_{proportion}_n{size}_{variant}_{ix}"
RESOURCES = config["resources"]
REPLICATES = range(1, config["students"]["replicates"] + 1)
EVOAUG = used_settings(config["evoaug"])
# What dynamic augmentation and shifted sequences draw from; how many, they say themselves.
EVOAUG_LIST = {key: EVOAUG[key] for key in ("augmentations", "parameters")}
# Likewise: a setting of a kind of shift that is not listed makes nothing again.
KIND_OF_SETTING = {"mutagenesis": "small", "per_sequence": "moderate"}
SHIFT_SETTINGS = {
    key: value
    for key, value in config["shift"].items()
    if key not in KIND_OF_SETTING or KIND_OF_SETTING[key] in config["shift"]["kinds"]
}
DYNAMIC_SETTINGS = config["dynamic_augmentation"]
DYNAMIC_ARMS = (
    choose_arms(ARMS, DYNAMIC_SETTINGS["arms"]) if DYNAMIC_SETTINGS["arms"] else ARMS
)
METHODS = config["attribution"]["methods"]
TOP_N = config["attribution"]["top_n"]
ATTRIBUTION_SEQUENCE_SETTINGS = {
    key: config["attribution"][key] for key in ("top_n", "bins", "per_bin")
}
ATTRIBUTION_ARMS = (
    choose_arms(ARMS, config["attribution"]["arms"] or [{}]) if METHODS else ()
)
# Whether it is known which bases matter.
PLANTED = config["data"]["source"] == "simulate"

# Conda environments with TensorFlow for a GPU only where jobs ask for one.
GPU = any(RESOURCES[kind]["gpu"] for kind in ("train", "predict", "light"))
ENVIRONMENT = f"../envs/degu{'-gpu' if GPU else ''}.yaml"


wildcard_constraints:
    augmentation="standard|evoaug",
    proportion=r"[0-9.e-]+",
    size=r"\d+",
    ix=r"\d+",
    uncertainty="std|logvar",
    method="saliency|shap|shap_dinuc_shuffle|ism",
    target="|".join(map(re.escape, TARGETS)),
    variant="(random|mutagenesis|evoaug)(_append)?",
