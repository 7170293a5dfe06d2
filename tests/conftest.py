"""Settings and data that tests share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")  # as in jobs: half of the time

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from degu.dataset import Split, write_dataset

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

# Examples are the same at every run, and a busy machine is no failure.
settings.register_profile(
    "degu", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("degu")


# Files that take longest: no worker is to be left alone with one at the end. The first one that
# needs the tiny study makes it, on all cores, and others wait for it.
FIRST = (
    *("test_slurm", "test_extensions", "test_reruns", "test_crashes"),
    *("test_study", "test_attribution_study", "test_news"),
    *("test_deeplift", "test_figures", "test_ensemble", "test_grid", "test_training"),
    *("test_checkpoint", "test_fuzz_readers", "test_config_errors", "test_runtime"),
)


def pytest_collection_modifyitems(items) -> None:
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Where the tiny study has run, once for all tests; they leave it as it is (see ``copy``)."""
    import tiny_study

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of all workers
    study, done, failed = base / "study", base / "study.done", base / "study.failed"
    with FileLock(f"{study}.lock"):
        if failed.exists():
            pytest.fail(f"the tiny study has failed before:\n{failed.read_text()}")
        if not done.exists():
            study.mkdir()
            try:
                tiny_study.run(study)
            except BaseException as error:
                failed.write_text(str(error))
                raise
            done.touch()
    return study


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny study's folder, to be changed; files keep their times."""
    return Path(shutil.copytree(folder, tmp_path / "copy", symlinks=True))


@pytest.fixture(scope="session")
def results(folder: Path) -> Path:
    """The results of the tiny study."""
    return folder / "results/tiny"


def shared_file(name: str) -> Path:
    """A file that lies beside the repository; the test is skipped, and says so, without it."""
    matches = sorted(SHARED.glob(name))
    if not matches:
        pytest.skip(f"needs {name} in a folder `shared` beside the repository")
    return matches[0]


def random_one_hot(n: int, length: int, seed: int = 0) -> np.ndarray:
    """Random sequences (n, length, 4) uint8."""
    rng = np.random.default_rng(seed)
    return np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (n, length))]


def motif_activity(x: np.ndarray, targets: int = 1) -> np.ndarray:
    """Activities (n, targets) that a small network learns within seconds: base composition."""
    counts = x.mean(axis=1, dtype=np.float32)
    return (10 * (counts[:, :targets] - counts[:, 1 : targets + 1])).astype(np.float32)


def write_small_dataset(
    path: Path, sizes: tuple[int, int, int] = (60, 20, 25), length: int = 30, seed: int = 0
) -> dict[str, Split]:
    """Write a data set with the targets Dev and Hk; returns its splits."""
    splits = {}
    for i, (name, n) in enumerate(zip(("Train", "Val", "Test"), sizes, strict=True)):
        x = random_one_hot(n, length, seed=10 * seed + i)
        splits[name] = Split(x, motif_activity(x, 2))
    write_dataset(path, splits, targets=("Dev", "Hk"), source="test")
    return splits


def run_python(code: str, *arguments: object, cwd: Path, **environment: str):
    """Run code in a new interpreter; returns the finished process with its output as text."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Function that writes ``{package}/my_module.py`` into a folder of Python's path."""
    folder = tmp_path / "on_path"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)

    def write(package: str, source: str) -> str:
        (folder / package).mkdir()
        (folder / package / "my_module.py").write_text(source)
        return f"{package}.my_module"

    yield write
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]
