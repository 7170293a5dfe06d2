"""The workflow through a real SLURM: GPUs, job arrays, jobs ended from outside.

`.ci/run` starts the SLURM (tests/slurm/start); without one these tests are skipped.
"""

import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest
from snakemake_runs import ROOT, run_snakemake
from tiny_study import changed, write_architecture

# One GPU for a training job; memory and time that a small node has.
RESOURCES = {
    "train": {"gpu": 1, "partition": "gpu", "mem_mb": 2000, "runtime": 20},
    "predict": {"partition": "cpu", "mem_mb": 2000},
    "light": {"partition": "cpu", "mem_mb": 1000},
}
TEACHERS = "results/tiny/standard/downsample_1/teachers"
STUDENTS = "results/tiny/standard/downsample_1/students/n4/std"
EARLIER = set()  # jobs of others


def ask(*command):
    """The output of a command of SLURM."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", autouse=True)
def _slurm():
    if not shutil.which("sbatch"):
        pytest.skip("needs SLURM: no sbatch (as root, tests/slurm/start FOLDER starts one)")
    answer = subprocess.run(["sinfo", "--noheader", "--format=%P"], capture_output=True, text=True)
    if answer.returncode or not {"cpu*", "gpu"} <= set(answer.stdout.split()):
        pytest.skip("needs the SLURM of tests/slurm/start, with partitions cpu and gpu")
    EARLIER.update(jobs())


def submit(folder, *arguments, **options):
    """Run the workflow through SLURM, looking often so that the test is short."""
    slurm = ["--profile", str(ROOT / "profiles/slurm")]
    slurm += ["--slurm-no-account", "--slurm-status-command", "squeue"]
    slurm += ["--slurm-init-seconds-before-status-checks", "10", "--latency-wait", "5"]
    slurm += ["--slurm-keep-successful-logs"]
    return run_snakemake(folder, changed(resources=RESOURCES), *slurm, *arguments, **options)


def jobs():
    """All jobs that SLURM knows, by id (`17_2` is the second of an array): partition, state, ..."""
    rows = ask("squeue", "--states=all", "--noheader", "--format=%i|%P|%T|%k").splitlines()
    return {job: values for job, *values in (row.split("|") for row in rows)}


def jobs_of(rule):
    """The jobs of one rule, or group of rules, that these tests have submitted."""
    own = {job: values for job, values in jobs().items() if job not in EARLIER}
    name = re.compile(rf"rule_{rule}(_wildcards_.*)?")
    return {job: values for job, values in own.items() if name.fullmatch(values[2])}


def describe(job):
    """What `scontrol` tells of a job, or of a task of an array."""
    return dict(re.findall(r"(\S+?)=(\S*)", ask("scontrol", "show", "job", job)))


def wait_for(found, seconds=1200):
    """The first true value of a function."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.5)
    raise AssertionError(f"{found.__name__} was not seen within {seconds} s")


def two_running_teachers():
    running = [job for job, values in jobs_of("train_teacher").items() if values[1] == "RUNNING"]
    return running if len(running) == 2 else None


def end_from_outside(folder):
    """Cancel one running teacher, and kill every process of another one on its node."""
    cancelled, killed = wait_for(two_running_teachers)

    def both_at_work():
        """Past the start of Snakemake: a job's log is its own, and TensorFlow takes seconds."""
        return len([*folder.glob("results/tiny/logs/train_teacher/*.log")]) == 2

    wait_for(both_at_work)
    ask("scancel", cancelled)
    number = describe(killed)["JobId"]
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("SLURM_JOB_ID") == number:
            process.send_signal(signal.SIGKILL)
    return cancelled, killed


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A study run through SLURM, with jobs ended from outside; beside it one of few slots."""
    run = SimpleNamespace(folder=write_architecture(tmp_path_factory.mktemp("cluster")))
    few_slots = write_architecture(tmp_path_factory.mktemp("few_slots"))
    pool = "results/tiny/evoaug/downsample_1/teachers"
    members = [f"{pool}/{ix}_history_aug.csv" for ix in (1, 2)]

    def disturb():
        run.ended = end_from_outside(run.folder)
        run.few_slots = submit(few_slots, "--resources", "gpu=1", "--keep-going", *members).stdout

    with ThreadPoolExecutor() as pool_of_threads:
        disturbed = pool_of_threads.submit(disturb)
        run.output = submit(run.folder, "--keep-going", f"{STUDENTS}/1_predictions.h5").stdout
        disturbed.result()
    return run


def test_members_are_an_array(cluster):
    tasks = [job.split("_") for job in jobs_of("train_teacher") if "_" in job]
    first = min(int(array) for array, _ in tasks)
    assert sorted(int(task) for array, task in tasks if int(array) == first) == [1, 2, 3, 4]


def test_every_training_job_asks_for_a_gpu_and_gets_one(cluster):
    training = {**jobs_of("train_teacher"), **jobs_of("train_student")}
    assert len(training) == 4 + 2 + 1
    for job, (partition, *_) in training.items():
        assert partition == "gpu"
        assert describe(job)["TresPerJob"] == "gres:gpu:1"
    logs = [*cluster.folder.glob("results/tiny/logs/train_*/*.log")]
    assert len(logs) == 5
    devices = set()
    for log in logs:
        # The devices are no GPUs, and the job says so of the very one that it was given.
        devices.add(re.search(r"SLURM gave this job device (\d)\b", log.read_text())[1])
    assert devices == {"0", "1"}


def test_other_jobs_get_none(cluster):
    for rule in ("predict_teacher", "predict_student", "ingest"):
        for job, (partition, *_) in jobs_of(rule).items():
            assert partition == "cpu"
            assert "TresPerJob" not in describe(job)


def test_jobs_ended_from_outside_are_tried_again_with_more(cluster):
    states = {job: values[1] for job, values in jobs_of("train_teacher").items()}
    assert states[cluster.ended[0]] == "CANCELLED"
    assert states[cluster.ended[1]] in ("FAILED", "NODE_FAIL", "CANCELLED")
    again = [job for job, state in states.items() if state == "COMPLETED"]
    assert len(states) == 4 + 2
    assert len(again) == 4
    assert cluster.output.count("Trying to restart job") == 2
    memory = sorted(describe(job)["MinMemoryNode"] for job in states)
    # An array asks for a little more, for its list of tasks.
    assert sum(size.startswith("3") for size in memory) == 2


def test_short_jobs_share_a_submission(cluster):
    assert len(jobs_of("ensembles_aggregate_ensemble_distillation_data")) == 1
    assert not jobs_of("aggregate_ensemble")


def test_results_are_those_of_a_local_run_bit_for_bit(cluster, results):
    """Same thread count, another executor."""
    here = cluster.folder
    names = ("Small.h5", "history.csv", "predictions.h5")
    files = [f"{TEACHERS}/{ix}_{name}" for ix in (1, 2, 3, 4) for name in names]
    files += [f"{STUDENTS}/1_{name}" for name in names]
    for name in files:
        local = results.parents[1] / name
        assert (here / name).read_bytes() == local.read_bytes(), name


def test_fewer_slots_than_members_do_not_wait_for_ever(cluster):
    """The plugin's arrays would: members are submitted one by one."""
    assert "one by one" in cluster.few_slots
    assert "one by one" not in cluster.output
    submitted = jobs_of("train_teacher_evoaug")
    assert len(submitted) == 2
    assert not [job for job in submitted if "_" in job]
