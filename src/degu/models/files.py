"""Files of whole models and of weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import h5py
import keras

from degu.errors import InputError
from degu.io.card import Card
from degu.io.files import atomic_path, seal
from degu.io.hdf5 import open_hdf5
from degu.models.identity import architecture_sha256
from degu.models.safety import check_stored

FINGERPRINT = "degu_fingerprint"
"""The HDF5 attribute of weights, models and checkpoints that holds theirs."""


def save_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Save the weights (a path ending in ``.weights.h5``), whole or not at all."""
    with atomic_path(path) as temporary:
        model.save_weights(temporary, overwrite=True)


def save_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    card: Card,
    fingerprint: str | None = None,
) -> None:
    """Save a whole model, uncompiled, with its card; ``keras.models.load_model(path)`` opens it.

    Args:
        model: functional or Sequential, of built-in layers (see :mod:`degu.models.safety`).
        path: ends in ``.h5``.
        card: what the model is.
        fingerprint: of the training that made it, if that had a checkpoint.
    """
    with atomic_path(path) as temporary, _quiet("absl"):
        # A compiled model's loss, stored by name, keeps Keras 3 from loading an .h5 file.
        model.save(temporary, include_optimizer=False)
        with h5py.File(temporary, "r+") as file:
            replace(card, architecture_sha256=architecture_sha256(model)).write(file.attrs)
            if fingerprint is not None:
                file.attrs[FINGERPRINT] = fingerprint
        seal(temporary)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Keep Keras from calling .h5 a legacy format: here it is the contract."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def load_model(path: str | os.PathLike[str], **expected: object) -> tuple[keras.Model, Card]:
    """A model and its card, refused if the card differs from what is expected.

    Args:
        path: a file of :func:`save_model`.
        expected: fields of :class:`~degu.io.card.Card` and the values they must have.

    Raises:
        InputError: if the file is not a model with a card, or not the expected one.
    """
    with open_hdf5(path) as file:
        card = Card.read(file)
        stored = file.attrs.get("model_config")
    card.check(path, **expected)
    # A model file may come from anywhere: neither here nor in Keras may code in it run.
    check_stored(stored, path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be loaded as a Keras model: {reason}") from error
    # Another version of Keras may describe the same architecture in other words.
    same_words = card.versions.get("keras") == keras.__version__
    if same_words and card.architecture_sha256 not in ("", architecture_sha256(model)):
        raise InputError(
            f"{path} holds another architecture than its card says; delete it and train it again."
        )
    return model, card
