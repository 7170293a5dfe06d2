"""EvoAug: training on augmented sequences, then on the sequences themselves."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from degu.dataset.copies import Copies
from degu.sweep import derive_seed
from degu.training.batches import Augment
from degu.training.checkpoint import Checkpoint
from degu.training.fit import standard_train_fun


@dataclass(frozen=True)
class EvoAugTraining:
    """A ``train_fun`` for any Keras model: first on augmented sequences, then on them as they are.

    Both phases go by the schedule of :func:`standard_train_fun`, and the second starts from the
    best weights of the first, with a fresh optimizer. What is trained, and saved, is the plain
    model: the augmentation lies in the data pipeline and no layer is added.

    Args:
        augment: ``augment(x, rng)`` for each batch of the first phase. A
            :class:`degu.augment.Augmenter` holds a list of augmentations and says how many of them
            a batch gets, and whether exactly so many (hard) or at most (soft).
        finetune_epochs: at most, in the second phase.
        finetune_learning_rate: that the second phase starts at, in place of a schedule as well.

    Example:
        >>> augment = Augmenter([RandomDeletion(), RandomNoise()], per_batch=2, hard=False)
        >>> train = EvoAugTraining(augment)
        >>> degu.train_ensemble(x, y, train, optimizer="adam", loss="mse", epochs=100)
        >>> history = train(model, x, y, validation_data, None, "adam", "mse")

    Reference:
        Lee, Tang, Toneyan & Koo, Genome Biology 24:105, 2023.
    """

    augment: Augment
    finetune_epochs: int = 30
    finetune_learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        # Before an hour of training, and not after it.
        if not callable(self.augment) or isinstance(self.augment, type):
            raise ValueError(
                f"EvoAugTraining needs augment(x, rng), such as Augmenter([RandomDeletion()]), but "
                f"got {self.augment!r}."
            )
        if self.finetune_epochs < 1 or not self.finetune_learning_rate > 0:
            raise ValueError(
                "Fine-tuning needs at least one epoch and a learning rate above 0, but got "
                f"{self.finetune_epochs} and {self.finetune_learning_rate}; to train without it, "
                "give augment to standard_train_fun."
            )

    def __call__(
        self,
        model: keras.Model,
        x: Any,
        y: np.ndarray,
        validation_data: tuple[Any, np.ndarray] | None,
        save_prefix: str | os.PathLike[str] | None,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        loss: Any = None,
        *,
        seed: int | None = None,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        tracking: str | os.PathLike[str] | None = None,
        copies: Copies | None = None,
        verbose: int = 1,
        **fit_kwargs: Any,
    ) -> dict[str, list[float]]:
        """Train a model; arguments as for :func:`standard_train_fun`.

        Args:
            save_prefix: the weights are saved once, after the second phase.
            optimizer, loss: of both phases; with both None the model's own compile is kept.
            checkpoint: each phase has its own, ``{checkpoint}.augmented`` and
                ``{checkpoint}.finetuning``.
            tracking: each phase has curves of its own, in folders named likewise.
            copies: of the second phase; in the first, sequences are augmented as they come.
            fit_kwargs: for both phases, but ``epochs`` is the first one's.

        Returns:
            The history of both phases, one after the other. ``finetuning`` is 0 for an epoch of the
            first and 1 for one of the second; what a phase does not measure is NaN.
        """

        def files(phase: str) -> dict[str, Any]:
            return {
                "checkpoint": None
                if checkpoint is None
                else Checkpoint.at(checkpoint).phase(phase),
                "tracking": None if tracking is None else Path(tracking) / phase,
            }

        augmented = standard_train_fun(
            model,
            x,
            y,
            validation_data,
            None,
            optimizer,
            loss,
            seed=seed,
            augment=self.augment,
            **files("augmented"),
            verbose=verbose,
            **fit_kwargs,
        )
        if verbose:
            print("fine-tuning without augmentation", file=sys.stderr, flush=True)
        # To compile again would lose what standard_train_fun does not know of: the weights of
        # losses and metrics in a compile of the model's own.
        model.optimizer = _at_learning_rate(model.optimizer, self.finetune_learning_rate)
        model.make_train_function(force=True)
        finetuned = standard_train_fun(
            model,
            x,
            y,
            validation_data,
            save_prefix,
            seed=None if seed is None else derive_seed(seed, "finetuning"),
            **files("finetuning"),
            copies=copies,
            verbose=verbose,
            **{**fit_kwargs, "epochs": self.finetune_epochs},
        )
        phases = augmented, finetuned
        epochs = [len(phase["loss"]) for phase in phases]
        history: dict[str, list[float]] = {
            name: [
                value
                for phase, n in zip(phases, epochs, strict=True)
                for value in phase.get(name, [np.nan] * n)
            ]
            for name in dict.fromkeys((*augmented, *finetuned))
        }
        history["finetuning"] = [0.0] * epochs[0] + [1.0] * epochs[1]
        return history


def _at_learning_rate(optimizer: keras.optimizers.Optimizer, rate: float) -> Any:
    """A new optimizer of the same configuration but for the learning rate."""
    config = optimizer.get_config()
    # Mixed precision puts the optimizer into another one that scales its loss.
    inner = config["inner_optimizer"]["config"] if "inner_optimizer" in config else config
    inner["learning_rate"] = rate
    return type(optimizer).from_config(config)
