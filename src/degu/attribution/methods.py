"""The registry of attribution methods: how each is called, what makes its maps, what they mean.

Light: neither TensorFlow nor a method's own module is imported before maps are made. To add one,
write a :class:`Maker` in a module of its own and a line here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from degu.errors import InputError

if TYPE_CHECKING:
    import keras


class Question(NamedTuple):
    """What maps are asked for: one target's sequences and heads, and what a method may draw from.

    Attributes:
        x: (n, L, 4) uint8, in the order of the selection.
        columns: output columns of the model, one for each kind of head.
        target: the target's name.
        seed: the study's. What is drawn by it and the target is the same for every model.
        test: reads the test set's sequences (N, L, 4).
        progress: whether to show how far the maps are.
    """

    x: np.ndarray
    columns: list[int]
    target: str
    seed: int
    test: Callable[[], np.ndarray]
    progress: bool = True


class Answer(NamedTuple):
    """What a method makes.

    Attributes:
        maps: (n, L, 4, columns), units of the heads.
        prediction: (n, columns), if the method has them anyway.
        residual: (n, columns), of contributions that add up, by how much they miss it.
        hypothetical: (n, L, 4, columns), what other bases would contribute.
    """

    maps: np.ndarray
    prediction: np.ndarray | None = None
    residual: np.ndarray | None = None
    hypothetical: np.ndarray | None = None


class Maker(Protocol):
    """Makes the maps of one model; ``settings`` are those that the method goes by."""

    def __call__(self, model: keras.Model, question: Question, **settings: Any) -> Answer: ...


IMPORTANCE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sum": lambda maps, x: maps.sum(axis=-1) * x.any(axis=-1),
    "observed": lambda maps, x: ((maps - maps.mean(axis=-1, keepdims=True)) * x).sum(axis=-1),
}
"""From maps (..., n, L, 4) float64 and sequences (n, L, 4) to a number for each position: of
contributions, which add up, their ``sum`` over the bases; of other maps what stands at the base
that is there (``observed``), after their mean over the four is subtracted."""


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes:
        name: in files, tables and configs; lower-case letters, digits and underscores.
        label: in figures; a line break where it may be broken.
        maker: ``module:function`` of its :class:`Maker`.
        importance: a key of :data:`IMPORTANCE`.
        settings: the keys of the config's ``attribution`` section that it goes by, and the
            argument of the maker that each is.
        of_test: of these keys, those that are numbers of sequences drawn from the test set.
    """

    name: str
    label: str
    maker: str
    importance: str
    settings: Mapping[str, str] = field(default_factory=dict)
    of_test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"{self.name!r} is no name for files; write it as in my_method.")
        if self.importance not in IMPORTANCE:
            raise ValueError(
                f"{self.name}: importance is one of {', '.join(IMPORTANCE)}, not "
                f"{self.importance!r}."
            )

    @property
    def title(self) -> str:
        """The label on one line."""
        return self.label.replace("\n", " ")

    def settings_of(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of the maker from the config's ``attribution`` section, and nothing else.

        As a rule's parameters they let the settings of other methods make nothing again.
        """
        return {argument: section[key] for key, argument in self.settings.items()}

    def make(self, model: keras.Model, question: Question, **settings: Any) -> Answer:
        """The maps of a model; InputError if the method does not cover it."""
        module, _, function = self.maker.partition(":")
        maker: Maker = getattr(import_module(module), function)
        return maker(model, question, **settings)


_DEEPSHAP = {"references": "k", "hypothetical": "hypothetical"}

_LISTED = (
    Method("saliency", "saliency", "degu.attribution.gradients:make_maps", "observed"),
    Method(
        "shap",
        "DeepSHAP",
        "degu.attribution.deeplift:make_maps",
        "sum",
        _DEEPSHAP,
        of_test=("references",),
    ),
    Method(
        "shap_dinuc_shuffle",
        "DeepSHAP,\nshuffles",
        "degu.attribution.deeplift:make_maps_by_shuffles",
        "sum",
        _DEEPSHAP,
    ),
    Method("ism", "in-silico\nmutagenesis", "degu.attribution.ism:make_maps", "observed"),
)

METHODS = {method.name: method for method in _LISTED}
"""Methods by name, in the order in which they are drawn."""


def register(method: Method) -> Method:
    """Add a method to the registry; ValueError if its name is taken."""
    if method.name in METHODS:
        raise ValueError(f"There is an attribution method {method.name} already.")
    METHODS[method.name] = method
    return method


@contextmanager
def registered(method: Method) -> Iterator[Method]:
    """A method in the registry for a while, for tests."""
    register(method)
    try:
        yield method
    finally:
        del METHODS[method.name]


def find(name: str) -> Method:
    """A method by its name.

    Raises:
        InputError: for one that is not registered; names those that are.
    """
    if name not in METHODS:
        raise InputError(
            f"There is no attribution method {name!r}; use one of {', '.join(METHODS)}."
        )
    return METHODS[name]


def in_order(names: Iterable[str]) -> list[str]:
    """Names of methods, each once, in the order of the registry.

    Raises:
        InputError: for one that is not registered.
    """
    chosen = {find(name).name for name in names}
    return [name for name in METHODS if name in chosen]
