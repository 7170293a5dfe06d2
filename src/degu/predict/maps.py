"""Attribution maps with models from files, and the files that hold them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np

from degu.attribution.methods import Answer, Question, find
from degu.errors import InputError
from degu.io.files import atomic_path
from degu.io.hdf5 import create_hdf5, write_array
from degu.predict.predictor import Predictor
from degu.training.batches import predict

ROWS = 64
"""Sequences whose maps are made and written at once."""

WINDOW = 400
"""modisco-lite's default window, in bases."""

UNITS = {
    "mean": "units of the target",
    "std": "units of the target",
    "logvar": "natural logarithm of squared units of the target",
}


class HeadsOf(NamedTuple):
    """One kind of head of several models.

    Attributes:
        models: M Keras models.
        targets: T names.
        columns: of each model, the output columns of the targets.
        kind: ``mean``, ``std`` or ``logvar``.
    """

    models: list[keras.Model]
    targets: tuple[str, ...]
    columns: list[list[int]]
    kind: str


def heads_of(predictor: Predictor, head: str, targets: Sequence[str] = ()) -> HeadsOf:
    """The heads to explain.

    Args:
        predictor: the models.
        head: ``activity``, or ``uncertainty`` (epistemic) as the models predict it.
        targets: names; none for all.

    Raises:
        InputError: for a target that there is not, or models without an uncertainty, or with std
            and logvar heads.
    """
    unknown = [name for name in targets if name not in predictor.targets]
    if unknown:
        raise InputError(
            f"{predictor.paths[0]} has no target {unknown[0]}; it predicts "
            f"{', '.join(predictor.targets)}."
        )
    chosen = tuple(t for t in predictor.targets if t in targets or not targets)
    kinds = {card.heads.epistemic if head == "uncertainty" else "mean" for card in predictor.cards}
    kind = kinds.pop()
    if kind is None:
        raise InputError(
            f"{predictor.paths[0]} predicts no uncertainty, so there are no maps of it; name a "
            "student, or leave out --head uncertainty."
        )
    if kinds:
        raise InputError(
            f"The models from {predictor.paths[0]} on have heads of std and of log variance, whose "
            "maps have no common units; name models of one kind."
        )
    columns = [[card.heads.column(t, kind) for t in chosen] for card in predictor.cards]
    return HeadsOf(list(predictor.models), chosen, columns, kind)


def make_maps(
    heads: HeadsOf,
    x: np.ndarray,
    method: str,
    *,
    seed: int,
    settings: Mapping[str, Any],
    others: Callable[[], np.ndarray],
) -> Answer:
    """Maps of the mean prediction: the mean over models of their maps.

    Args:
        heads: what to explain.
        x: (n, L, 4) uint8.
        method: a registered one.
        seed: of references; all models, targets and calls with this seed get the same draw.
        settings: of the config's ``attribution`` section, those that the method goes by.
        others: reads sequences (N, L, 4) that references are drawn from, if the method does that.

    Raises:
        InputError: for a model that the method does not cover.
    """
    known = find(method)
    arguments = known.settings_of(settings)
    answers = []
    for model, columns in zip(heads.models, heads.columns, strict=True):
        question = Question(x, columns, "", seed, others, progress=False)
        answer = known.make(model, question, **arguments)
        if answer.prediction is None:
            answer = answer._replace(prediction=predict(model, x)[:, columns])
        answers.append(answer)
    together: list[Any] = [*zip(*answers, strict=True)]
    parts: list[Any] = [None if c[0] is None else np.mean(c, axis=0) for c in together]
    return Answer(*parts)


def hypothetical(answer: Answer, method: str) -> np.ndarray:
    """What each base would contribute if it were the one that is there, (n, L, 4, heads).

    DeepSHAP has such scores. A gradient, or the effects of substitutions, say how bases compare
    with each other: less their mean over the four bases of a position, they are contributions
    against an average base. Times the one-hot sequence and summed over the bases, either is
    :func:`degu.attribution.maps.importance` of the method.

    Raises:
        InputError: for a method that has none.
    """
    if answer.hypothetical is not None:
        return answer.hypothetical
    if find(method).importance != "observed":
        raise InputError(
            f"The method {method} gives no hypothetical contributions, which modisco-lite needs; "
            "take another one."
        )
    return answer.maps - answer.maps.mean(axis=2, keepdims=True)


# Files


def file_part(name: str) -> str:
    """A target or an id as a part of a file's name."""
    return re.sub(r"[^\w.+-]+", "_", name)[:100].lstrip(".") or "_"


def paths_of(targets: Sequence[str], output: str, ending: str) -> dict[str, Path]:
    """The file of each target: ``output`` with the ending; with the target's name if several.

    Raises:
        InputError: if two targets would have one file.
    """
    stem = Path(output)
    if len(targets) == 1:
        return {targets[0]: stem.with_name(stem.name + ending)}
    paths = {t: stem.with_name(f"{stem.name}_{file_part(t)}{ending}") for t in targets}
    if len(set(paths.values())) < len(targets):
        raise InputError(
            f"The targets {', '.join(targets)} would share a file; name one by --targets."
        )
    return paths


Write = Callable[[slice, np.ndarray, Answer], None]
"""Takes maps of some sequences: their rows, the sequences (m, L, 4), and the maps."""


@contextmanager
def hdf5_writer(
    paths: Mapping[str, Path], ids: Sequence[str], **attributes: Any
) -> Iterator[Write]:
    """Files of maps, one for each target, written whole or not at all.

    Each holds ``id`` (n,), ``x`` (n, L, 4) uint8 one-hot, ``maps`` (n, L, 4) float32 as the method
    makes them, ``prediction`` (n,) of the head; of DeepSHAP ``hypothetical`` (n, L, 4) and
    ``residual`` (n,), by how much a map's sum misses what it explains. Attributes: ``target`` and
    those that are given.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(create_hdf5(path)) for path in paths.values()]
        for target, file in zip(paths, files, strict=True):
            write_array(file, "id", np.asarray(ids, dtype=object))
            file.attrs.update(target=target, **attributes)

        def write(rows: slice, x: np.ndarray, answer: Answer) -> None:
            for i, file in enumerate(files):
                _put(file, "x", rows, x)
                for key, values in answer._asdict().items():
                    if values is not None:
                        _put(file, key, rows, np.asarray(values[..., i], np.float32))

        yield write


def _put(file: h5py.File, key: str, rows: slice, values: np.ndarray) -> None:
    """Write rows of an array, which is there from its first rows on."""
    if key not in file:
        n, *rest = len(file["id"]), *values.shape[1:]
        chunks = (min(n, ROWS), *rest)
        file.create_dataset(
            key,
            (n, *rest),
            values.dtype,
            chunks=chunks,
            compression="gzip",
            compression_opts=4,
            track_times=False,
        )
    file[key][rows] = values


@contextmanager
def modisco_writer(
    paths: Mapping[str, Path], sequences: Path, n: int, length: int, method: str
) -> Iterator[Write]:
    """What ``modisco motifs -s SEQUENCES -a PATH`` of modisco-lite reads.

    Each file holds ``arr_0`` (n, 4, L): the one-hot sequences, uint8, and for each target
    hypothetical contributions, float32. They are kept in memory until all are there.
    """
    one_hot = np.empty((n, 4, length), np.uint8)
    scores = np.empty((len(paths), n, 4, length), np.float32)

    def write(rows: slice, x: np.ndarray, answer: Answer) -> None:
        one_hot[rows] = x.transpose(0, 2, 1)
        scores[:, rows] = hypothetical(answer, method).transpose(3, 0, 2, 1)

    yield write
    with ExitStack() as stack:
        for path, values in zip([sequences, *paths.values()], [one_hot, *scores], strict=True):
            np.savez_compressed(stack.enter_context(atomic_path(path)), values)
