"""The validated config, the arms of the study, and the paths that rules share."""

import os
import sys
from pathlib import Path

# Jobs import the package from here, whatever environment they run in, and a user's own
# `my_package.my_module:build` from the working directory.
SOURCES = [str(Path(workflow.basedir) / "src"), os.getcwd()]
for folder in reversed(SOURCES):
    if folder not in sys.path:
        sys.path.insert(0, folder)
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys(SOURCES + os.environ.get("PYTHONPATH", "").split(os.pathsep))
).strip(os.pathsep)

from degu import ingest
from degu.config import display_name, validate
from degu.errors import InputError
from degu.stages import STAGES
from degu.sweep import derive_seed, expand_arms, format_proportion, pool_sizes

try:
    config = validate(config, f"{workflow.basedir}/workflow/schemas/config.schema.yaml")
    ingest.preflight(config["data"], config["targets"])
    ARMS = expand_arms(config["arms"])
except InputError as error:
    sys.exit(f"error in the config: {error}")

TARGETS = config["targets"]
MODEL = display_name(config)
RESULTS = f"results/{config['dataset']}"
DATASET = f"{RESULTS}/dataset.h5"
POOL = RESULTS + "/{augmentation}/downsample_{proportion}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
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


def arm_path(pattern, arm, **more):
    """A path of one arm."""
    return pattern.format(**arm.wildcards, **more)


def pool_members(pattern):
    """A path for every teacher of the study, with its identity for the summary."""
    for (augmentation, proportion), size in pool_sizes(ARMS).items():
        for ix in range(1, size + 1):
            identity = {
                "augmentation": augmentation,
                "proportion": proportion,
                "member": ix,
            }
            spelt = format_proportion(proportion)
            path = pattern.format(augmentation=augmentation, proportion=spelt, ix=ix)
            yield path, identity


def arm_students(pattern):
    """A path for every student of the study, with its identity for the summary."""
    for arm in ARMS:
        for uncertainty in config["students"]["uncertainty"]:
            for ix in range(1, config["students"]["replicates"] + 1):
                identity = {
                    "augmentation": arm.augmentation,
                    "proportion": arm.proportion,
                    "size": arm.size,
                    "member": ix,
                    "uncertainty": uncertainty,
                }
                yield arm_path(pattern, arm, uncertainty=uncertainty, ix=ix), identity
