"""Sequences of a table with a header: TSV or CSV."""

from __future__ import annotations

import os
from collections.abc import Iterator

from degu.errors import InputError
from degu.genomics.blocks import Block
from degu.genomics.fasta import CONTROL
from degu.io.streams import Source
from degu.io.table import check_header, find_column, records

SEQUENCE_COLUMNS = ("sequence", "seq")
ID_COLUMNS = ("id", "name", "sequence_id", "seq_id")
"""Columns that are looked for where none is named, in this order and in any case."""

_PIECE = 1024


def read_table(
    source: Source, *, sequence_column: str | None = None, id_column: str | None = None
) -> Iterator[Block]:
    """Yield the sequences of a table that is open, in pieces of any number.

    Args:
        source: the table.
        sequence_column: None for the first of :data:`SEQUENCE_COLUMNS` that there is.
        id_column: None for the first of :data:`ID_COLUMNS` that there is, else rows' numbers,
            which count from 1.

    Raises:
        InputError: for what :func:`degu.io.table.read_records` refuses, a column that is missing
            or there twice, no rows, a row without a sequence or an id, or an id with control
            characters; names the file, the line and the column.
    """
    rows = records(source)
    _, header = next(rows)
    check_header(source.path, header)
    sequence = _column(source.path, header, sequence_column, SEQUENCE_COLUMNS)
    if sequence is None:
        sequence = find_column(source.path, header, SEQUENCE_COLUMNS[0])
    label = _column(source.path, header, id_column, ID_COLUMNS)
    number = 0
    ids: list[str] = []
    sequences: list[bytes] = []
    for line, row in rows:
        number += 1
        letters = "".join(row[sequence].split())
        if not letters:
            raise InputError(
                f"{source.path}, line {line}, column {header[sequence]!r}: the sequence is "
                "missing; leave the row out."
            )
        name = str(number) if label is None else row[label].strip()
        if label is not None and (not name or CONTROL.search(name)):
            raise InputError(
                f"{source.path}, line {line}, column {header[label]!r}: {row[label]!r} is no id; "
                "fill one in."
            )
        ids.append(name)
        sequences.append(letters.encode())
        if len(ids) == _PIECE:
            yield Block(ids, sequences)
            ids, sequences = [], []
    if not number:
        raise InputError(f"{source.path} has a header but no rows; add the sequences.")
    if ids:
        yield Block(ids, sequences)


def _column(
    path: str | os.PathLike[str], header: list[str], told: str | None, known: tuple[str, ...]
) -> int | None:
    if told is not None:
        return find_column(path, header, told)
    lower = [name.lower() for name in header]
    return next((lower.index(name) for name in known if name in lower), None)
