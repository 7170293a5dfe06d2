"""Students trained on batches that are augmented on the fly and labelled by their teachers.

Dynamic augmentation of Zhou, Rizzo, Christensen, Tang & Koo, bioRxiv 2024.11.13.623485: a student
sees its ensemble's mean and uncertainty not only where the training set has sequences. The data
pipeline augments (:class:`degu.training.batches.Batches`), and the compiled training step labels
what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from degu.augment import Augmentation, Augmenter, RandomMutation, RandomShuffle
from degu.errors import InputError
from degu.heads import Heads
from degu.sweep import Variant
from degu.training.batches import Augment
from degu.uncertainty import LOG_VARIANCES, VARIANCE_FLOOR


def mode_augmentation(
    mode: str,
    evoaug: Mapping[str, Any] | None = None,
    per_batch: int = 1,
    mutagenesis: float = 0.05,
) -> Augmentation:
    """The augmentation of a mode.

    Args:
        mode: ``random`` shuffles the positions of each sequence, ``mutagenesis`` mutates it, and
            ``evoaug`` applies augmentations drawn from the study's list.
        evoaug: the config's section of that name, for the mode ``evoaug`` alone. Its ``per_batch``
            and ``hard`` are those of EvoAug's own training, and without effect here.
        per_batch: how many of the list each batch gets, exactly.
        mutagenesis: expected share of positions that change.

    Raises:
        InputError: for an unknown mode, or values that cannot be.
    """
    Variant(mode)
    if mode == "random":
        return RandomShuffle()
    if mode == "mutagenesis":
        return RandomMutation(mutagenesis)
    if evoaug is None:
        raise InputError(
            "dynamic_augmentation.modes: evoaug needs the list evoaug.augmentations; give the "
            "section evoaug."
        )
    augmenter = Augmenter.from_config({**evoaug, "per_batch": 1, "hard": True})
    most = len(augmenter.augmentations)
    if per_batch not in range(1, most + 1):
        raise InputError(
            f"dynamic_augmentation.per_batch: {per_batch!r} is no whole number from 1 to {most}, "
            "the number of evoaug.augmentations; change one of them."
        )
    return replace(augmenter, per_batch=per_batch)


def beside(augment: Augmentation) -> Augment:
    """Give each batch as the pair (x, augmented x), which makes :class:`DynamicStudent` append."""
    return lambda x, rng: (x, augment(x, rng))


def ensemble_labels(
    teachers: Sequence[keras.Model], uncertainty: str, heads: Heads | None = None
) -> Callable[[Any], Any]:
    """A function that labels sequences by an ensemble, as part of whatever graph it is called in.

    Args:
        teachers: two or more Keras models of one output shape, (B, T) or (B, L', T). They predict
            in inference mode; their weights are used where they are and never changed.
        uncertainty: ``std``, the population standard deviation (ddof 0), or ``logvar``, the log of
            the variance floored at :data:`degu.uncertainty.VARIANCE_FLOOR`.
        heads: of the teachers, whose outputs are means alone by default. Of aleatoric heads it is
            the mean of the variances that counts (:func:`degu.uncertainty.ensemble_aleatoric`).

    Returns:
        A function from a tensor (B, L, 4) to one (B, 2T) float32: the means, then the
        uncertainties; between them logarithms of aleatoric variances, (B, 3T), if the teachers
        predict such. No gradient passes through it. It raises InputError if the outputs of the
        teachers differ in shape.

    Raises:
        InputError: for fewer than two teachers or another uncertainty.
    """
    teachers = tuple(teachers)
    if len(teachers) < 2:
        raise InputError(
            f"A student learns the spread between its teachers, but there is {len(teachers)}; "
            "give two or more."
        )
    if uncertainty not in ("std", "logvar"):
        raise InputError(f"uncertainty: {uncertainty!r} is unknown; write std or logvar.")

    def label(x: Any) -> Any:
        predictions = [ops.cast(teacher(x, training=False), "float32") for teacher in teachers]
        first = predictions[0]
        for i, (teacher, prediction) in enumerate(zip(teachers, predictions, strict=True), start=1):
            if prediction.shape[1:] != first.shape[1:]:
                raise InputError(
                    f"Teacher {i} ({teacher.name}) predicts {_shape(prediction)} for each sequence "
                    f"and teacher 1 ({teachers[0].name}) {_shape(first)}; an ensemble needs one "
                    "shape."
                )
        stack = ops.stack(predictions)
        aleatoric: list[Any] = []
        means = stack if heads is None else stack[..., heads.slice("mean")]
        if heads is not None and "aleatoric" in heads.kinds:
            variances = ops.exp(ops.clip(stack[..., heads.slice("aleatoric")], *LOG_VARIANCES))
            aleatoric = [ops.log(ops.mean(variances, axis=0))]
        # Of what sets the members apart from one of them, mean and squares lose nothing to
        # rounding, and members that agree exactly have a spread of exactly 0.
        first = means[0]
        apart = means - first
        centre = ops.mean(apart, axis=0)
        variance = ops.mean(ops.square(apart - centre), axis=0)
        if uncertainty == "std":
            spread = ops.sqrt(variance)
        else:
            spread = ops.log(ops.maximum(variance, VARIANCE_FLOOR))
        return ops.stop_gradient(ops.concatenate([first + centre, *aleatoric, spread], axis=-1))

    return label


class DynamicStudent(keras.Model):
    """A student in training, whose augmented batches are labelled by an ensemble in the graph.

    The batches say what is done. Of a batch (x, y), x is taken for augmented and labelled by the
    teachers; y is not looked at. Of a batch ((x, augmented x), y), the student trains on both, with
    y for x and the teachers' labels for the augmented. Validation goes by (x, y) as they are.

    It is the student in all else: the same weights, in training and inference, and what is saved
    is the plain student. The teachers are no part of it.

    Args:
        student: any Keras model with outputs (B, 2T): means, then uncertainties, between them
            aleatoric ones if the teachers have such. Trained in place.
        teachers, uncertainty, heads: as for :func:`ensemble_labels`.

    Raises:
        InputError: as :func:`ensemble_labels`; at its first batch if the student's output, or y of
            the pair, has not the shape of the teachers' labels.

    Example:
        >>> dynamic = DynamicStudent(student, degu.members, "logvar")
        >>> standard_train_fun(dynamic, x, y, validation_data, "student", "adam", "mse",
        ...                    augment=beside(RandomMutation()))
        >>> student.predict(x_test)
    """

    def __init__(
        self,
        student: keras.Model,
        teachers: Sequence[keras.Model],
        uncertainty: str = "std",
        heads: Heads | None = None,
    ) -> None:
        super().__init__(name=student.name)
        self.student = student
        # A function hides the teachers from Keras, which would track models in an attribute as
        # layers of this one: train them, count their weights and save them.
        self._label = ensemble_labels(teachers, uncertainty, heads)
        self.built = student.built

    def identity(self) -> tuple[Any, ...]:
        """What decides how it trains, teachers included (:mod:`degu.training.fingerprint`)."""
        return self.student, self._label

    def call(self, x: Any, training: bool | None = None) -> Any:
        """The student's output."""
        return self.student(x, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Label a batch and train the student on it."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(x, (tuple, list)):
            given, augmented = x
            labels = self._label(augmented)
            self._check_labels(y, "the targets beside them are", labels)
            x = ops.concatenate([given, augmented])
            y = ops.concatenate([ops.cast(y, labels.dtype), labels])
            weight = None if weight is None else ops.concatenate([weight, weight])
        else:
            y = self._label(x)
        return super().train_step((x, y, weight))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss, unless the student's output has another shape than its labels."""
        self._check_labels(y_pred, f"the outputs of the student {self.name} are", y)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """Save the plain student."""
        return self.student.save(*args, **kwargs)

    def save_weights(self, *args: Any, **kwargs: Any) -> Any:
        """Save the weights of the plain student."""
        return self.student.save_weights(*args, **kwargs)

    def load_weights(self, *args: Any, **kwargs: Any) -> Any:
        """Load weights of the plain student."""
        return self.student.load_weights(*args, **kwargs)

    @staticmethod
    def _check_labels(output: Any, whose: str, labels: Any) -> None:
        if output.shape[1:] != labels.shape[1:]:
            # Broadcasting would make a loss of them all the same.
            raise InputError(
                f"Labels are of shape {_shape(labels)} for each sequence, the teachers' means and "
                f"uncertainties side by side, but {whose} of shape {_shape(output)}; a student has "
                "two outputs, and its targets have two columns, for each output of a teacher."
            )


def _shape(output: Any) -> tuple[int | None, ...]:
    return tuple(output.shape[1:])
