"""An arm of a made-up study: sequences, and files of its teachers' and students' maps."""

import numpy as np

from degu.attribution.maps import HeadMaps, write_maps
from degu.attribution.selection import Selection, Sequences
from degu.heads import Heads
from degu.io.card import Card

TARGETS = ("Hk", "Dev")  # not in the order of the alphabet
LENGTH = 9
TOP_N = 5
RANK = np.array([1, 2, 3, 4, 5, 0, 0, 0])
BIN = np.array([2, 0, 2, 0, 0, 1, 1, 2])
GROUPS = {"top5": [0, 1, 2, 3, 4], "bin1": [5, 6], "bin2": [0, 2, 7]}
N = len(RANK)
ARM = {"augmentation": "standard", "proportion": 0.25, "size": 3}
POOL = {"augmentation": "standard", "proportion": 0.25}
METHODS = ("saliency", "shap")
SEQUENCES_SHA256, DATASET_SHA256 = "5" * 64, "d" * 64


def make_selection(seed: int, *, planted: bool = True) -> Selection:
    rng = np.random.default_rng(seed)
    x = np.eye(4, dtype=np.uint8)[rng.integers(4, size=(N, LENGTH))]
    x[0, 2] = 0  # an unknown base
    mask = (rng.random((N, LENGTH)) < 0.4).astype(np.uint8)
    mask[:, 0], mask[:, 1] = 1, 0
    mask[1] = 0  # a sequence without a motif
    return Selection(
        row=rng.permutation(30)[:N],
        id=np.array([f"é{i}" for i in range(N)], dtype=object),
        y=rng.normal(size=N).astype(np.float32),
        rank=RANK,
        bin=BIN,
        x=x,
        motif_mask=mask if planted else None,
    )


def make_sequences(*, planted: bool = True) -> Sequences:
    return Sequences(
        targets={t: make_selection(i, planted=planted) for i, t in enumerate(TARGETS)},
        seed=1,
        sha256=SEQUENCES_SHA256,
        dataset_sha256=DATASET_SHA256,
    )


def make_card(role="teacher", member=1, kinds=("mean",), **changes) -> Card:
    fields = {
        "heads": Heads(TARGETS, kinds),
        "architecture": "deepstarr",
        "role": role,
        **POOL,
        "size": None if role == "teacher" else 3,
        "member": member,
        "seed": member,
        "dataset_sha256": DATASET_SHA256,
    }
    return Card(**{**fields, **changes})


def make_head(rng, method="saliency", n=N, hypothetical=False) -> HeadMaps:
    maps = rng.normal(size=(n, LENGTH, 4)).astype(np.float32)
    adds_up = method.startswith("shap")
    if adds_up:
        maps *= rng.random(maps.shape) < 0.3  # ties at zero, as where sequence and reference agree
    return HeadMaps(
        maps,
        rng.normal(size=n).astype(np.float32),
        (1e-5 * rng.normal(size=n)).astype(np.float32) if adds_up else None,
        rng.normal(size=maps.shape).astype(np.float32) if hypothetical else None,
    )


class MadeArm:
    """Files of three teachers and of students of both kinds, and the maps that are in them.

    ``maps[role, member, method][target][kind]`` is what a file holds, a student's role being its
    kind of uncertainty; whoever changes it calls ``write()`` again.
    """

    def __init__(self, folder, students=(("std", 2), ("logvar", 2)), teachers=3, planted=True):
        self.folder = folder / "results/assay/standard/downsample_0.25/attribution"
        self.output = self.folder / "n3.h5"
        self.sequences = make_sequences(planted=planted)
        rng = np.random.default_rng(0)
        names = [("teacher", i) for i in range(1, teachers + 1)]
        names += [(kind, i) for kind, count in students for i in range(1, count + 1)]
        self.maps = {
            (role, i, method): {
                target: {kind: make_head(rng, method) for kind in self.kinds(role)}
                for target in TARGETS
            }
            for role, i in names
            for method in METHODS
        }
        self.write()

    @staticmethod
    def kinds(role):
        return ("mean",) if role == "teacher" else ("mean", role)

    def path(self, role, i, method):
        group = "teachers" if role == "teacher" else f"n3-{role}"
        return self.folder / group / f"{i}_{method}.h5"

    def write(self):
        for key in self.maps:
            self.write_one(key)

    def write_one(self, key, **changes):
        """A file of maps; ``changes`` are those of its card."""
        role, i, method = key
        own = "teacher" if role == "teacher" else "student"
        card = {"role": own, "member": i, "kinds": self.kinds(role)}
        card["size"] = None if own == "teacher" else 3
        write_maps(
            self.path(*key),
            self.maps[key],
            make_card(**{**card, **changes}),
            method=method,
            sequences_sha256=SEQUENCES_SHA256,
        )
        return self.path(*key)

    def members(self, teachers):
        """Paths and identities, as the workflow's rules list them."""
        listed = []
        for role, i, method in self.maps:
            if (role == "teacher") == teachers:
                more = {} if teachers else {"size": 3, "uncertainty": role}
                identity = {**POOL, **more, "member": i, "method": method}
                listed.append((self.path(role, i, method), identity))
        return listed

    @property
    def teachers(self):
        return self.members(True)

    @property
    def students(self):
        return self.members(False)

    def arrays(self, role, method, target, kind="mean", field="maps"):
        """What the models of one role have in one field, (M, ...) float64."""
        found = [
            getattr(maps[target][kind], field)
            for (own, _, by), maps in self.maps.items()
            if (own, by) == (role, method)
        ]
        return np.stack(found).astype(np.float64)
