"""The study that the config means, and what rules share."""

import copy
import re
import sys

# The package as it lies here, whatever environment a job runs in.
sys.path.insert(0, f"{workflow.basedir}/src")

from degu import ingest
from degu.errors import InputError
from degu.io.versions import STAGES
from degu.ops import slurm
from degu.ops.runtime import share_import_path
from degu.study import inputs, judged, parts
from degu.study.config import refuse_duplicate_keys, validate
from degu.study.kinds import TEACHER
from degu.study.layout import ARMS, POOLS
from degu.study.member import Member
from degu.study.study import Study

share_import_path(f"{workflow.basedir}/src")
slurm.become_own_task_of_array()

GIVEN_CONFIG = copy.deepcopy(config)
try:
    # A job on a cluster reads the Snakefile too, but files have been looked at before it.
    if workflow.is_main_process:
        refuse_duplicate_keys(workflow.configfiles)
    config = validate(config)
    STUDY = Study.from_config(config)
    if workflow.is_main_process:
        ingest.preflight(config["data"], config["targets"])
except InputError as error:
    sys.exit(f"error in the config: {error}")

FILES = STUDY.layout
REQUESTS = slurm.requests(config["resources"])
GPU = any(REQUESTS[kind]["gpu"] for kind in REQUESTS)
# Conda environments with TensorFlow for a GPU only where jobs ask for one.
ENVIRONMENT = f"../envs/degu{'-gpu' if GPU else ''}.yaml"


wildcard_constraints:
    **STUDY.choices,
    augmentation="standard|evoaug",
    proportion=r"[0-9.e-]+",
    size=r"\d+",
    ix=r"\d+",
    method="|".join(map(re.escape, STUDY.methods)) or "none",
    target="|".join(map(re.escape, STUDY.targets)),
