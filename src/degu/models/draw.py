"""Members: clones of a model with weights drawn afresh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from degu.models.identity import reseed


def new_member(
    model: keras.Model | Callable[[], keras.Model], seed: int | None = None
) -> keras.Model:
    """A model of the same architecture with weights drawn afresh, batch norm included.

    Every random part of the architecture (initialisers, dropout, noise layers) gets a seed of its
    own, drawn from ``seed``. So a seeded or shared initialiser does not make twins, and a seed
    gives the same model everywhere. Of the given model's state only what was adapted to data before
    training (a ``Normalization`` layer) and which layers are frozen are taken over.

    Args:
        model: a functional or Sequential model, or a function without arguments that builds any
            Keras model. Of what it builds and cannot be cloned, the weights are its own draws.
        seed: of the initial weights and of dropout; None draws one.

    Returns:
        A model that is compiled like the given one, or not compiled if that is not.

    Raises:
        ValueError: if a given model cannot be cloned (a subclassed one, or layers that cannot be
            made from their config): give a function that builds it.
    """
    if seed is None:
        seed = int(np.random.default_rng().integers(2**31))
    given = isinstance(model, keras.Model)
    if not given:
        # The builder's own draws, for a model that can only be built and not cloned.
        keras.utils.set_random_seed(seed)
    original: Any = model if given else model()
    if not isinstance(original, keras.Model):
        raise ValueError(f"The builder returned a {type(original).__name__}, no Keras model.")
    rng = np.random.default_rng(seed)

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(reseed(layer.get_config(), rng))

    # Keras would compile the clone from a config, which a loss of one's own does not have.
    compiled, original.compiled = original.compiled, False
    try:
        member = keras.models.clone_model(original, clone_function=clone, recursive=True)
    except Exception as error:
        if not given:
            return original
        raise ValueError(
            f"The model {original.name}, a {type(original).__name__}, cannot be cloned ({error}): "
            "give DEGU a function without arguments that builds it, in place of the model."
        ) from error
    finally:
        original.compiled = compiled
    for ours, theirs in zip(member._flatten_layers(), original._flatten_layers(), strict=True):
        ours.trainable = theirs.trainable
        if isinstance(theirs, keras.layers.Normalization) and theirs.built:
            ours.set_weights(theirs.get_weights())
            ours.finalize_state()
    if compiled:
        try:
            member.compile_from_config(original.get_compile_config())
        except Exception:  # a loss or metric of one's own, which no config can spell
            member.compile(fresh_optimizer(original.optimizer), loss=original.loss)
    return member


def fresh_optimizer(optimizer: Any) -> Any:
    """A new optimizer of the same configuration: in Keras 3 an instance serves one model only."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    return optimizer


def twins(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Whether all weights that vary within themselves are equal in both."""
    random = [(a, b) for a, b in zip(first, second, strict=True) if a.size > 1 and np.ptp(a) > 0]
    return bool(random) and all(np.array_equal(a, b) for a, b in random)
