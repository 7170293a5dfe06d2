"""Settings and data that tests share."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

# Examples are the same at every run, and a busy machine is no failure.
settings.register_profile("degu", deadline=None, derandomize=True)
settings.load_profile("degu")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


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
