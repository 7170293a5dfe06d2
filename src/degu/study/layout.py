"""The results tree: the one place that knows where a file lies.

Every path is made from a member, an arm or a pool, or from a pattern of such: then it has wildcards
in their places. The tree as a whole: docs/guide.md, "Files".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from degu.attribution.names import distance_name, map_name, member_name, stdev_name
from degu.study.member import Member


class Place(Protocol):
    """An arm, a pool or a member, or a pattern of one."""

    @property
    def wildcards(self) -> Mapping[str, str]:
        """What its paths are filled in with."""
        ...


@dataclass(frozen=True)
class Pattern:
    """All arms, or all pools: wildcards in place of what tells them apart."""

    names: tuple[str, ...]

    @property
    def wildcards(self) -> Mapping[str, str]:
        return {name: f"{{{name}}}" for name in self.names}


POOLS = Pattern(("augmentation", "proportion"))
ARMS = Pattern(("augmentation", "proportion", "size"))


@dataclass(frozen=True)
class Layout:
    """Paths of a study's files.

    Attributes:
        results: the folder of all of them, ``results/{dataset}``.
        model_name: the architecture in file names.
        targets: of the data set.
        top_n: how many sequences of a target files of single maps hold.
    """

    results: str
    model_name: str
    targets: tuple[str, ...]
    top_n: int

    # Of the whole study

    @property
    def dataset(self) -> str:
        """The data set."""
        return f"{self.results}/dataset.h5"

    @property
    def shift(self) -> str:
        """The shifted sequences."""
        return f"{self.results}/shift.h5"

    @property
    def attribution_sequences(self) -> str:
        """The sequences that have attribution maps."""
        return f"{self.results}/attribution_sequences.h5"

    @property
    def attribution_summary(self) -> str:
        """Every number about attribution."""
        return f"{self.results}/attribution_summary.csv"

    def uncertainty(self, table: str) -> str:
        """What is known of all models' uncertainty: ``summary``, ``curves`` or ``differences``."""
        return f"{self.results}/uncertainty_{table}.csv"

    def summary(self, part: str = "all") -> str:
        """Every number of the study, or of one of its parts."""
        return f"{self.results}/" + ("summary.csv" if part == "all" else f"summaries/{part}.csv")

    def figure(self, name: str, suffix: str) -> str:
        """A figure; ``name`` may have folders in it."""
        return f"{self.results}/figures/{name}.{suffix}"

    def log(self, rule: str, job: str = "") -> str:
        """The log of a rule's job."""
        return f"{self.results}/logs/{rule}{'/' * bool(job)}{job}.log"

    def benchmark(self, rule: str, job: str = "") -> str:
        """Time and memory of a rule's job."""
        return f"{self.results}/benchmarks/{rule}{'/' * bool(job)}{job}.tsv"

    # Of a pool

    def pool(self, place: Place) -> str:
        """Folder of all that has an augmentation and a proportion."""
        own = place.wildcards
        return f"{self.results}/{own['augmentation']}/downsample_{own['proportion']}"

    def subset(self, place: Place) -> str:
        """Rows of Train that a pool's models see."""
        return f"{self.pool(place)}/subset.npy"

    def subset_sequences(self, proportion: str = "{proportion}") -> str:
        """The sequences of a subset, copied once for all arms of its proportion."""
        return f"{self.results}/subsets/downsample_{proportion}.h5"

    @staticmethod
    def pool_job(place: Place) -> str:
        """A pool's name in logs."""
        return "{augmentation}_{proportion}".format(**place.wildcards)

    # Of an arm

    @staticmethod
    def arm_job(place: Place) -> str:
        """An arm's name in logs, and of its figures."""
        return "{augmentation}_{proportion}_n{size}".format(**place.wildcards)

    def ensemble_mean(self, arm: Place) -> str:
        """The ensemble's mean on the training sequences."""
        return f"{self._of_size('ensemble', arm)}/ensemble_avg_y_train.npy"

    def ensemble_std(self, arm: Place, split: str) -> str:
        """The ensemble's std on a split."""
        return f"{self._of_size('ensemble', arm)}/ensemble_std_{split.lower()}.npy"

    def ensemble_aleatoric(self, arm: Place, split: str) -> str:
        """The logarithm of the ensemble's aleatoric variance on a split."""
        return f"{self._of_size('ensemble', arm)}/ensemble_aleatoric_{split.lower()}.npy"

    def ensemble_performance(self, arm: Place) -> str:
        """How well the ensemble's mean predicts the test set."""
        return f"{self._of_size('ensemble', arm)}/ensemble_performance_avg.csv"

    def distillation(self, arm: Place) -> str:
        """What an arm's students learn from."""
        name = "all_data_with_ensemble_metrics_hierarchical.h5"
        return f"{self._of_size('distillation', arm)}/{name}"

    def copies(self, arm: Place) -> str:
        """What an arm's ensemble says of the augmented copies of its training sequences."""
        return f"{self._of_size('distillation', arm)}/copies.h5"

    def copies_predictions(self, arm: Place, teacher: Member) -> str:
        """What a teacher predicts of the copies, for the labels of one arm; not kept.

        Not one file for all arms of a pool: Snakemake makes again what comes of a temporary file
        that is made again, so the labels of one arm would bring the students of all with them.
        """
        return f"{self._of_size('distillation', arm)}/{teacher.member}_copies.h5"

    def fidelity(self, arm: Place) -> str:
        """What the uncertainty of an arm's models says beyond their activity."""
        return f"{self._of_size('ensemble', arm)}/fidelity.csv"

    def judged(self, place: Place, table: str, suffix: str = "csv") -> str:
        """What is known of the uncertainty of an arm's models, or of what a pool's arms share."""
        name = f"n{place.wildcards['size']}" if "size" in place.wildcards else "pool"
        return f"{self.pool(place)}/uncertainty/{name}_{table}.{suffix}"

    def shift_ensemble(self, arm: Place) -> str:
        """The ensemble's mean and std on shifted sequences."""
        return f"{self._of_size('shift', arm)}-ensemble/predictions.h5"

    def shift_table(self, arm: Place) -> str:
        """Every number about an arm's models on shifted sequences."""
        return f"{self._of_size('shift', arm)}_summary.csv"

    def attribution_maps(self, arm: Place) -> str:
        """What is known of each sequence from the maps of an arm's models."""
        return f"{self._of_size('attribution', arm)}.h5"

    def attribution_table(self, arm: Place) -> str:
        """Every number about the maps of an arm's models."""
        return f"{self._of_size('attribution', arm)}_summary.csv"

    def _of_size(self, folder: str, arm: Place) -> str:
        return f"{self.pool(arm)}/{folder}/n{arm.wildcards['size']}"

    # Of a member

    def folder(self, member: Member) -> str:
        """Where a member's models lie."""
        return f"{self.pool(member)}/{member.kind.folder.format(**member.wildcards)}"

    def model(self, member: Member, phase: str | None = None) -> str:
        """The model of a phase, by default of the last one; of who borrows one, that one."""
        if member.owner is not member:
            return self.model(member.owner)
        phase = member.phases[-1] if phase is None else phase
        name = member.kind.model_name or self.model_name
        return self._own(member, name, member.variant, phase, suffix="h5")

    def history(self, member: Member, phase: str) -> str:
        """What a phase's training measured, a row an epoch."""
        return self._own(member, member.variant, "history", phase)

    def performance(self, member: Member, phase: str) -> str:
        """How well the model of a phase predicts the test set."""
        return self._own(member, member.variant, "performance", phase)

    def predictions(self, member: Member) -> str:
        """What a member predicts of the data set."""
        return self._own(member, member.variant, "predictions", suffix="h5")

    def recalibration(self, member: Member) -> str:
        """What makes intervals of a member's predictions."""
        return self._own(member, member.variant, "recalibration", suffix="json")

    def _own(self, member: Member, *parts: str | None, suffix: str = "csv") -> str:
        name = "_".join(filter(None, [str(member.member), *parts]))
        return f"{self.folder(member)}/{name}.{suffix}"

    def shift_predictions(self, member: Member) -> str:
        """What a member predicts of shifted sequences."""
        folder = member.kind.shift_folder.format(**member.wildcards)
        name = "_".join(filter(None, [str(member.member), member.variant, "predictions"]))
        return f"{self.pool(member)}/shift/{folder}/{name}.h5"

    # Attribution maps of members

    def maps_folder(self, member: Member) -> str:
        """Where the maps of a member lie; ValueError if its kind has none."""
        if member.kind.maps_folder is None:
            raise ValueError(f"There are no maps of the kind {member.kind.name}.")
        return f"{self.pool(member)}/attribution/{member.kind.maps_folder}".format(
            **member.wildcards
        )

    def maps(self, member: Member, method: str) -> str:
        """All maps of a member by one method."""
        return f"{self.maps_folder(member)}/{member_name(member.member, method)}"

    def top_maps(self, member: Member, method: str, ix: object = None) -> list[str]:
        """Maps of the most active sequences, a file a head; ``ix`` may be ``avg``."""
        folder = self.maps_folder(member)
        ix = member.member if ix is None else ix
        return [
            f"{folder}/{map_name(ix, self.top_n, target, kind, method)}"
            for target in self.targets
            for kind in member.kinds
        ]

    def map_distances(self, member: Member, method: str) -> list[str]:
        """How far a member's maps are from the teachers' average, a file a target."""
        folder = self.maps_folder(member)
        names = (distance_name(member.member, self.top_n, t, method) for t in self.targets)
        return [f"{folder}/{name}" for name in names]

    def map_spread(self, member: Member, method: str) -> list[str]:
        """How far the maps of a member's siblings are from each other, a file a target."""
        folder = self.maps_folder(member)
        return [f"{folder}/{stdev_name(self.top_n, t, method)}" for t in self.targets]

    # Several at once

    def trained(self, member: Member) -> list[str]:
        """Models and histories of all phases; none of who borrows a model."""
        if member.kind.borrows:
            return []
        return [f(member, phase) for phase in member.phases for f in (self.model, self.history)]

    def performances(self, member: Member) -> list[str]:
        """Performance tables of all phases."""
        return [self.performance(member, phase) for phase in member.phases]

    def files(self, members: Sequence[Member]) -> list[str]:
        """All that a study keeps of members: models, histories, predictions, performance."""
        return [
            path
            for member in members
            for path in (
                *self.trained(member),
                self.predictions(member),
                *self.performances(member),
            )
        ]
