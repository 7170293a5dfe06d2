"""Rows of a table as text: CSV or TSV with a header, gzipped or not.

The header is line 1, and every message counts lines as an editor does. The separator is a comma
for ``.csv``, a tab for ``.tsv`` and other names, or, where the header lacks that one, the first of
tab, comma and semicolon that it has. Cells are taken as they are written.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from degu.errors import InputError
from degu.io.streams import Source, open_source

# Characters of a cell and of a line. Those of a cell csv counts, for the whole process.
_LONGEST_CELL = 2**24
_LONGEST_LINE = 2**26
_SHOWN_COLUMNS = 20
# How .xlsx (a zip archive) and .xls begin, as bytes that are no UTF-8 are decoded here.
_WORKBOOKS = tuple(
    start.decode(errors="surrogateescape")
    for start in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
)


def read_records(path: str | os.PathLike[str]) -> Generator[tuple[int, list[str]]]:
    """Yield (line, fields) of the header, then of each row; blank lines are passed over.

    Raises:
        InputError: for a file that :func:`degu.io.streams.open_source` refuses, one that is empty,
            binary or a workbook, rows of another width than the header, text that is not UTF-8,
            or quotation marks that are not closed; names the file and the line.
    """
    with open_source(path) as source:
        yield from records(source)


def records(source: Source) -> Generator[tuple[int, list[str]]]:
    """As :func:`read_records`, of a file that is open."""
    path = source.path
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    header: list[str] | None = None
    # Undecodable bytes are kept as surrogates, so that their line and column can be named.
    text = io.TextIOWrapper(
        cast(BinaryIO, source.stream), "utf-8", errors="surrogateescape", newline=""
    )
    lines = _bounded(text, source)
    first = next(lines, "")
    if not first.strip():
        raise InputError(
            f"{path} is empty or begins with a blank line; name the columns in its first line."
        )
    if first.startswith(_WORKBOOKS):
        raise InputError(
            f"{path} is an Excel file or another archive; save the sheet as CSV in UTF-8 and name "
            "that file."
        )
    if "\0" in first:
        raise InputError(f"{path} is not text; save the table as CSV or TSV in UTF-8.")
    separator = _separator(path, first)
    try:
        reader = csv.reader(chain([first], lines), delimiter=separator, strict=True)
        for fields in reader:
            line, source.line = source.line + 1, reader.line_num
            if not fields:
                continue
            if not all(map(str.isascii, fields)):
                _check_encoding(path, line, fields, header)
            if header is None:
                fields = header = [name.strip() for name in fields]
            elif len(fields) != len(header):
                raise InputError(
                    f"{path}, line {line}: there are {len(fields)} fields where the header has "
                    f"{len(header)} columns, the last of them {header[-1]!r}; correct the row."
                )
            yield line, fields
    except csv.Error as error:
        raise InputError(
            f"{path}, line {source.line + 1}: the row is not well formed ({error}); look for a "
            "quotation mark that is not closed."
        ) from error


def check_header(path: str | os.PathLike[str], header: list[str]) -> None:
    """Refuse a header that names a column twice."""
    for name, count in Counter(header).items():
        if name and count > 1:
            raise InputError(f"{path} has {count} columns named {name!r}; rename or drop one.")


def find_column(path: str | os.PathLike[str], header: list[str], name: str) -> int:
    """Position of a column; InputError if the table lacks it, with the columns that it has."""
    if name not in header:
        shown = ", ".join(header[:_SHOWN_COLUMNS])
        more = ", ..." if len(header) > _SHOWN_COLUMNS else ""
        raise InputError(f"{path} has no column {name!r}; it has {shown}{more}.")
    return header.index(name)


def _bounded(text: io.TextIOWrapper, source: Source) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise InputError(
                f"{source.path}, line {source.line + 1}: the line is longer than "
                f"{_LONGEST_LINE:,} characters; write a row a line."
            )
        yield line


def _check_encoding(path: str, line: int, fields: list[str], header: list[str] | None) -> None:
    for column, text in enumerate(fields):
        try:
            text.encode()
        except UnicodeEncodeError:
            name = repr(header[column]) if header and column < len(header) else str(column + 1)
            raise InputError(
                f"{path}, line {line}, column {name}: the text is not UTF-8; save the table in "
                "that encoding."
            ) from None


def _separator(path: str, header: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    preferred = ",\t;" if suffixes[-1:] == [".csv"] else "\t,;"
    return next((separator for separator in preferred if separator in header), preferred[0])
