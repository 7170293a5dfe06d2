"""Attribution maps of one member of a study."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

from degu.attribution.maps import HeadMaps, export_maps, write_maps
from degu.attribution.methods import Answer, Question, find
from degu.attribution.selection import Sequences, read_sequences
from degu.dataset import read_info, read_split
from degu.heads import Heads
from degu.jobs.lessons import Files
from degu.models.files import load_model
from degu.study.member import Member
from degu.training.batches import predict

Maps = dict[str, dict[str, HeadMaps]]


def attribute_member(
    member: Member,
    files: Files,
    output: str,
    method: str,
    settings: Mapping[str, Any],
    architecture: str,
) -> None:
    """Make the maps of a member by one method; those of the most active sequences as ``.npy`` too.

    Args:
        member: whose model it is.
        files: ``dataset``, ``sequences`` (those that were chosen) and ``model``.
        output: the file to write.
        method: a registered one.
        settings: what it goes by, of :meth:`degu.attribution.methods.Method.settings_of`.
        architecture: the config's ``model``.

    Raises:
        InputError: for an unknown method, a model that it does not cover, or a file that is not
            the expected one.
    """
    info = read_info(files["dataset"])
    sequences = read_sequences(files["sequences"], info.sha256)
    test = cache(lambda: read_split(files["dataset"], "Test", fields=("x",)).x)
    model, card = load_model(
        files["model"],
        **member.card_fields,
        architecture=architecture,
        dataset_sha256=info.sha256,
        heads=member.heads(info.targets),
    )
    maps = attribute(model, card.heads, sequences, method, test, **settings)
    write_maps(output, maps, card, method=method, sequences_sha256=sequences.sha256)
    export_maps(Path(output).parent, maps, sequences, card.member, method)


def attribute(
    model: keras.Model,
    heads: Heads,
    sequences: Sequences,
    method: str,
    test: Callable[[], np.ndarray],
    **settings: Any,
) -> Maps:
    """Maps of every head of a model, each of the sequences that were chosen for its target.

    Args:
        model: a teacher or a student.
        heads: names of its output columns.
        sequences: the study's. Every model gets the same references, which depend on the study's
            seed, the test set and the target alone.
        method: a registered one, see :mod:`degu.attribution.methods`.
        test: reads the test set's sequences (N, L, 4), if the method draws from them.
        settings: of the method.

    Returns:
        For each target and kind of head its maps (n, L, 4) in the order of the selection, in the
        units of the head.

    Raises:
        InputError: for an unknown method, or a model that the method does not cover.
    """
    known = find(method)
    maps: Maps = {}
    for target, selection in sequences.targets.items():
        names = ", ".join(Heads.name(target, kind) for kind in heads.kinds)
        print(
            f"{method} of {target}: {len(selection):,} sequences; heads {names}",
            file=sys.stderr,
            flush=True,
        )
        columns = [heads.column(target, kind) for kind in heads.kinds]
        question = Question(selection.x, columns, target, sequences.seed, test)
        answer = known.make(model, question, **settings)
        if answer.prediction is None:
            answer = answer._replace(prediction=predict(model, selection.x)[:, columns])
        maps[target] = {kind: _of_head(answer, i) for i, kind in enumerate(heads.kinds)}
    return maps


def _of_head(answer: Answer, i: int) -> HeadMaps:
    parts: list[Any] = [None if part is None else part[..., i] for part in answer]
    return HeadMaps(*parts)
