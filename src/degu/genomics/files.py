"""Sequences of any file that the commands take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from degu.errors import InputError
from degu.genomics.blocks import Block, gathered, in_blocks
from degu.genomics.fasta import read_fasta
from degu.genomics.table import read_table
from degu.io.streams import Source, open_source

if TYPE_CHECKING:
    from degu.genomics.bed import Beyond
    from degu.genomics.genome import Genome


def read_sequences(
    path: str | os.PathLike[str],
    rows: int,
    *,
    genome: Genome | str | os.PathLike[str] | None = None,
    length: int | None = None,
    summit: bool = False,
    beyond: Beyond = "error",
    sequence_column: str | None = None,
    id_column: str | None = None,
) -> Iterator[Block]:
    """Yield the sequences of a file in its order, ``rows`` at a time.

    What begins with ``>`` is a FASTA; else, with a genome, it is a BED or narrowPeak, and without
    one a table with a header. It may be plain, gzipped or bgzipped, which its first bytes tell,
    and is read once, so that a pipe will do.

    Args:
        path: the file.
        rows: sequences of a block; fewer where they are very long
            (:func:`degu.genomics.blocks.in_blocks`).
        genome: that a BED is of, open or as a path.
        length, summit, beyond: as for :func:`degu.genomics.bed.read_bed`.
        sequence_column, id_column: as for :func:`degu.genomics.table.read_table`.

    Raises:
        InputError: for a file of none of these kinds, one without sequences, options that do not
            go with its kind, and what its reader refuses; names the file and the line.
    """
    with open_source(path) as source:
        start = source.stream.peek(1)
        if not start:
            raise InputError(f"{source.path} is empty; check the file.")
        if start.lstrip()[:1] in (b">", b"@", b";") or _has_record(start):
            kind, pieces = "FASTA", read_fasta(source)
        elif genome is None:
            _check_table(source, start)
            kind = "table"
            pieces = gathered(
                read_table(source, sequence_column=sequence_column, id_column=id_column)
            )
        else:
            from degu.genomics.bed import read_bed
            from degu.genomics.genome import Genome

            kind = "BED"
            opened = genome if isinstance(genome, Genome) else Genome(genome)
            pieces = gathered(read_bed(source, opened, length=length, summit=summit, beyond=beyond))
        for option, value, of in (
            ("a sequence column", sequence_column, "table"),
            ("an id column", id_column, "table"),
            ("a summit", summit, "BED"),
        ):
            if value and kind != of:
                raise InputError(
                    f"{source.path} is a {kind}, which has not {option}; leave it out."
                )
        yield from in_blocks(pieces, rows)


def _has_record(start: bytes) -> bool:
    """Whether this is a FASTA after something that is no header of a table."""
    first, _, rest = start.partition(b"\n")
    return (b"\n" + rest).find(b"\n>") >= 0 and not any(mark in first for mark in b"\t,;")


def _check_table(source: Source, start: bytes) -> None:
    """Say what else a file without columns for sequences is."""
    if start.startswith(b"##fileformat=VCF"):
        raise InputError(f"{source.path} is a VCF; `degu variants` predicts its effects.")
    lines = (line.split(b"\t") for line in start.splitlines()[:100])
    fields = next((line for line in lines if len(line) > 2), [b""] * 3)
    if all(field.isdigit() for field in fields[1:3]):
        raise InputError(f"{source.path} looks like a BED; name the genome too (--genome).")
