"""A config for a table of one's own: what its columns are, by their names and what is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from degu.errors import InputError
from degu.ingest.table import MISSING, SPLIT_NAMES
from degu.io.table import read_records
from degu.study.config.wording import as_yaml

ROWS = 1000
"""Rows of a table that are looked at."""

_SHORTEST = 10
_BASES = re.compile(r"[ACGTNacgtn]+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_REPLICATE = re.compile(r"(.+?)[_. -]*(?:replicate|rep|r)[_. -]*\d+", re.IGNORECASE)
_TARGET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
_IDS = ("id", "name", "sequence_id", "seq_id", "oligo_id", "oligo", "element", "fragment")
_SPLITS = ("split", "set", "fold", "partition", "subset")
_SEQUENCES = ("sequence", "seq", "oligo_sequence", "dna")
_GROUPS = ("group", "gene", "gene_id", "family", "cluster", "locus", "chrom", "chromosome", "chr")
# Numbers that say where or how long a sequence is, or how well it was measured.
_NO_TARGETS = re.compile(
    r"(start|end|stop|pos|position|summit|length|len|gc|gc_content|index|idx|row|strand|score|fold|"
    r"chr|chrom|chromosome|barcodes?|n_barcodes|count|counts|reads|year|plate|unnamed.*|)|"
    r".*[_. -](std|sd|se|sem|stderr|var|variance|pval|pvalue|padj|fdr|weight|barcodes?|counts?|n)",
    re.IGNORECASE,
)


@dataclass
class Guess:
    """What the columns of a table seem to be.

    Attributes:
        sequence, id, split, group: their columns; None where none fits.
        targets: names of the activities.
        replicates: columns of each target that has several.
        left_out: numeric columns that are taken for no activity.
    """

    sequence: str | None = None
    id: str | None = None
    split: str | None = None
    group: str | None = None
    targets: list[str] = field(default_factory=list)
    replicates: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def guess_columns(path: Path) -> Guess:
    """Guess from the header and the first rows of a table.

    Args:
        path: CSV or TSV, gzipped or not.

    Raises:
        InputError: if it is no such table, or has no rows.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file; check the path.")
    with closing(read_records(path)) as records:
        _, header = next(records)
        rows = [row for _, row in islice(records, ROWS)]
    if not rows:
        raise InputError(f"{path} has a header but no rows; add the sequences.")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path} has the column {twice!r} twice; rename one of them.")
    columns = {name: [row[i].strip() for row in rows] for i, name in enumerate(header)}
    found = Guess()
    found.sequence = _named(_SEQUENCES, [n for n, v in columns.items() if _are_sequences(v)])
    splits = [n for n, v in columns.items() if all(text.lower() in SPLIT_NAMES for text in v)]
    found.split = _named(_SPLITS, splits)
    rest = {n: v for n, v in columns.items() if n not in (found.sequence, found.split)}
    numeric = [name for name, values in rest.items() if _are_numbers(values)]
    distinct = [n for n, v in rest.items() if len(set(v)) == len(v) and all(v) and "\0" not in n]
    names = [n for n in distinct if n.lower() in _IDS or n not in numeric]
    found.id = _named(_IDS, names)
    if found.split is None:
        found.group = _named(_GROUPS, [n for n in rest if n != found.id], only=True)
    _guess_targets(found, [n for n in numeric if n not in (found.id, found.group)], rest)
    return found


def _guess_targets(found: Guess, numeric: Sequence[str], columns: Mapping[str, list[str]]) -> None:
    stems: dict[str, list[str]] = {}
    for name in numeric:
        if match := _REPLICATE.fullmatch(name):
            stems.setdefault(match[1], []).append(name)
    replicated = {stem: own for stem, own in stems.items() if len(own) > 1 and _fits(stem)}
    of_replicates = {name: stem for stem, own in replicated.items() for name in own}
    for name in numeric:
        target = of_replicates.get(name, name)
        if target in found.targets:
            continue
        whole = name in of_replicates or all(text.lower() not in MISSING for text in columns[name])
        if not (whole and _fits(target)) or len(set(columns[name])) == 1:
            found.left_out.append(name)
            continue
        found.targets.append(target)
        if target in replicated:
            found.replicates[target] = replicated[target]


def _fits(target: str) -> bool:
    return bool(_TARGET.fullmatch(target) and not _NO_TARGETS.fullmatch(target)) and (
        target != "metric"
    )


def _are_sequences(values: Sequence[str]) -> bool:
    return all(len(text) >= _SHORTEST and _BASES.fullmatch(text) for text in values)


def _are_numbers(values: Sequence[str]) -> bool:
    """Whether all are numbers, but for missing ones, of which not all are."""
    given = [text for text in values if text.lower() not in MISSING]
    return bool(given) and all(map(_NUMBER.fullmatch, given))


def _named(known: Sequence[str], names: Sequence[str], only: bool = False) -> str | None:
    """The name that is best known; else the first, unless only known ones will do."""
    by_case = {name.lower(): name for name in reversed(names)}
    best = next((by_case[name] for name in known if name in by_case), None)
    return best if best is not None or only else next(iter(names), None)


def write_config(answers: Mapping[str, Any]) -> str:
    """A config as commented YAML.

    Args:
        answers: ``dataset``, ``path``, ``sequence``, ``id``, ``split``, ``group``, ``targets``,
            ``replicates``, ``units``, ``model``, ``ensemble_size``, ``students``; of
            ``flanks`` ``left`` and ``right``, where there are some.
    """
    data: list[tuple[str, Any, str]] = [
        ("source", "table", ""),
        ("path", answers["path"], "seen from the folder in which the workflow is run"),
        ("sequence_column", answers["sequence"], "A, C, G, T, N; all of one length"),
    ]
    if answers["id"]:
        data.append(("id_column", answers["id"], "kept beside every prediction"))
    if answers["split"]:
        data.append(("split_column", answers["split"], "train, val or test"))
    else:
        shares = {"val": 0.1, "test": 0.1}
        if answers["group"]:
            shares["group_column"] = answers["group"]
        together = f"rows of one {answers['group']} stay together" if answers["group"] else ""
        data.append(("split", shares, f"a seeded random split{'; ' * bool(together)}{together}"))
    if answers["replicates"]:
        data.append(("replicates", answers["replicates"], "their mean is learned"))
    if answers["units"]:
        data.append(("units", answers["units"], "of the activities"))
    study: list[tuple[str, Any, str]] = [
        ("targets", list(answers["targets"]), "the activities"),
        ("model", answers["model"], "architecture: deepstarr, or compact, a tenth of its cost"),
        ("ensemble_sizes", [answers["ensemble_size"]], "teachers that are trained"),
        (
            "students",
            {"replicates": answers["students"]},
            "distilled from them, of each kind of uncertainty",
        ),
    ]
    lines = [
        "# What differs from the defaults; config/README.md describes every key.",
        '# Run it with: make run ARGS="--configfile THIS_FILE"',
        *_entries(
            [("dataset", answers["dataset"], f"results go to results/{answers['dataset']}/")]
        ),
        "data:",
        *("  " + line for line in _entries(data)),
        *_entries(study),
    ]
    return "\n".join(lines) + "\n"


def _entries(entries: Sequence[tuple[str, Any, str]]) -> list[str]:
    lines = [(f"{key}: {as_yaml(value)}", comment) for key, value, comment in entries]
    width = min(max(len(text) for text, _ in lines), 40)
    return [f"{text:<{width}}  # {comment}" if comment else text for text, comment in lines]
