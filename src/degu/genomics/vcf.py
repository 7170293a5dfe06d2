"""Variants of a VCF or BCF file, and a VCF with more in its INFO.

A VCF is read and written as lines, of which INFO alone is added to: what goes through a parser does
not come back as it was (htslib writes a QUAL of 3.1400 as 3.14), and a parser does not know the
number of the line that it stumbles over. BCF, BGZF and indices are pysam's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from degu.errors import InputError
from degu.io.files import atomic_path
from degu.io.streams import open_source

_COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
_LONGEST = 2**28
_BCF = b"BCF"

_BASES = re.compile(rb"[ACGTNacgtn]+")
_NUMBER = re.compile(rb"[0-9]{1,18}")
_END = re.compile(rb"(?:^|;)END=([0-9]{1,18})(?:;|$)")
_UNSPECIFIED = (b"<*>", b"<NON_REF>")

TBI_REACH = 2**29
"""Bases of a contig that a ``.tbi`` index can count; beyond, an index is ``.csi``."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A record of a VCF.

    Attributes:
        where: the line (of BCF, the record) that it is, as messages name it.
        fields: CHROM to INFO, and in one piece what follows, without the line's end.
        pos: POS, counted from 1.
    """

    where: str
    fields: list[bytes]
    pos: int

    @property
    def chrom(self) -> str:
        return self.fields[0].decode(errors="replace")

    @property
    def ref(self) -> bytes:
        return self.fields[3]

    @property
    def alts(self) -> list[bytes]:
        """Alternatives as the file has them; one ``.`` where there is none."""
        return self.fields[4].split(b",")

    def kinds(self) -> list[str]:
        """What each alternative is: ``ok`` of bases that a sequence can be made of, or why not.

        ``missing_allele`` (``.``), ``spanning_deletion`` (``*``), ``breakend``, ``symbolic``
        (``<DEL>``, ``<*>``, ``<NON_REF>``), ``gvcf_block`` (a record of nothing else than one of
        the last two, or of ``.`` and an END beyond POS), ``letters`` (in REF or ALT, others than
        A, C, G, T and N in either case).
        """
        alts = self.alts
        if len(alts) == 1 and (
            alts[0] in _UNSPECIFIED or (alts[0] == b"." and self._end() > self.pos)
        ):
            return ["gvcf_block"]
        whole = _BASES.fullmatch(self.ref) is not None
        return [_kind(alt) if whole or _kind(alt) != "ok" else "letters" for alt in alts]

    def _end(self) -> int:
        found = _END.search(self.fields[7])
        return int(found[1]) if found else 0


def _kind(alt: bytes) -> str:
    if _BASES.fullmatch(alt):
        return "ok"
    if alt in (b"", b"."):
        return "missing_allele"
    if alt == b"*":
        return "spanning_deletion"
    # A single breakend is a base and a dot: of its mate nothing is known.
    if b"[" in alt or b"]" in alt or alt.startswith(b".") or alt.endswith(b"."):
        return "breakend"
    return "symbolic" if b"<" in alt else "letters"


def read_header(path: str | os.PathLike[str]) -> list[str]:
    """Lines of a VCF's or BCF's header, without their ends; the last one names the columns.

    Raises:
        InputError: if the file cannot be read or does not begin as a VCF; names the file.
    """
    return [line.decode(errors="surrogateescape") for _, line in _header(path, _lines(path))]


def read_variants(path: str | os.PathLike[str]) -> Iterator[Variant]:
    """Records of a VCF (plain, gzip or bgzip, told by its first bytes) or BCF, in their order.

    Memory is bounded by the longest line, of at most 256 MiB.

    Raises:
        InputError: for what is no VCF, is damaged, or has a record without its eight columns or
            with a POS that is no whole number; names the file and the line.
    """
    lines = _lines(path)
    for _ in _header(path, lines):
        pass
    for where, line in lines:
        if not line:
            continue
        fields = line.split(b"\t", 8)
        if len(fields) < 8:
            raise InputError(
                f"{path}, {where}, has {len(fields)} columns separated by tabs, where a record "
                "has at least 8; mend the line."
            )
        if not _NUMBER.fullmatch(fields[1]):
            raise InputError(
                f"{path}, {where}, has the POS {fields[1][:40].decode(errors='replace')!r}, which "
                "is no whole number; mend the line."
            )
        yield Variant(where, fields, int(fields[1]))


def _header(
    path: str | os.PathLike[str], lines: Iterator[tuple[str, bytes]]
) -> Iterator[tuple[str, bytes]]:
    """Those of the lines that are the header."""
    first = next(lines, ("", b""))
    if not first[1].startswith(b"##fileformat=VCF"):
        raise InputError(
            f"{path} is no VCF (it does not begin with ##fileformat=VCF); give a VCF or BCF file."
        )
    yield first
    for where, line in lines:
        if line.startswith(_COLUMNS):
            yield where, line
            return
        if not line.startswith(b"##"):
            break
        yield where, line
    raise InputError(
        f"{path} has no line #CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO, separated by tabs, at "
        "the end of its header; add it."
    )


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    """What each line is called, and the line without its end."""
    with open_source(path) as source:
        if source.stream.peek(3).startswith(_BCF):
            yield from _bcf_lines(path)
            return
        while line := source.stream.readline(_LONGEST):
            source.line += 1
            if len(line) == _LONGEST:
                raise InputError(
                    f"{path}, line {source.line}, has more than 256 MiB; a VCF has a line a record."
                )
            yield f"line {source.line}", line.rstrip(b"\r\n")


def _bcf_lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    import pysam

    number = 0
    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(os.fspath(path)) as file:
            for line in str(file.header).splitlines():
                yield "the header", line.encode()
            for record in file:
                number += 1
                yield f"record {number}", str(record).rstrip("\n").encode()
    except Exception as error:  # pysam has many for a damaged file
        raise InputError(
            f"{path} is no whole BCF file (after record {number}); make it again."
        ) from error
    finally:
        pysam.set_verbosity(before)


def declared_contigs(header: Sequence[str]) -> dict[str, int | None]:
    """Contigs of a header, in its order, and their lengths where it says them."""
    contigs: dict[str, int | None] = {}
    for line in header:
        if line.startswith("##contig="):
            length = _value(line, "length")
            contigs[_value(line, "ID")] = int(length) if length.isdecimal() else None
    return contigs


def _value(line: str, key: str) -> str:
    """A value of a header's line such as ``##INFO=<ID=AC,Number=A,...>``; empty without it."""
    found = re.search(rf"[<,]{key}=([^,>]*)", line)
    return found[1] if found else ""


@dataclass(frozen=True)
class Info:
    """A key of INFO that is added: a number (or a word) for each alternative."""

    key: str
    kind: str
    description: str


def free_stems(names: Sequence[str], suffixes: Sequence[str], header: Sequence[str]) -> list[str]:
    """A beginning for the INFO keys of each name, such that no key is there twice.

    What a key may not have (VCF 4.3: letters, digits, ``_`` and ``.``, no digit first) becomes
    ``_``; where a key would be another name's or the header's, ``_2``, ``_3``, ... follows.

    Args:
        names: with which keys are to begin, beginning with a letter.
        suffixes: that follow each name.
        header: whose keys are taken.
    """
    taken = {_value(line, "ID") for line in header if line.startswith("##INFO=")}
    stems = []
    for name in names:
        legal = re.sub(r"[^0-9A-Za-z_.]", "_", name)
        stem, number = legal, 1
        while not taken.isdisjoint(stem + suffix for suffix in suffixes):
            number += 1
            stem = f"{legal}_{number}"
        taken.update(stem + suffix for suffix in suffixes)
        stems.append(stem)
    return stems


def extended_header(
    header: Sequence[str],
    contigs: Mapping[str, int | None],
    infos: Iterable[Info],
    notes: Mapping[str, object],
) -> bytes:
    """A header with what is added to it, before the line of columns.

    Args:
        header: the file's own lines, which stay.
        contigs: of the records, and their lengths where known; those not declared are added.
        infos: keys that records get, ``Number=A``.
        notes: become a line ``##degu=<Key="value",...>``.
    """
    declared = declared_contigs(header)
    added = [
        f"##contig=<ID={name}" + ("" if length is None else f",length={length}") + ">"
        for name, length in contigs.items()
        if name not in declared
    ]
    added += [
        f'##INFO=<ID={info.key},Number=A,Type={info.kind},Description="{_quoted(info.description)}">'
        for info in infos
    ]
    values = ",".join(f'{key}="{_quoted(str(value))}"' for key, value in notes.items())
    added.append(f"##degu=<{values}>")
    lines = [*header[:-1], *added, header[-1]]
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")


def _quoted(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace('"', '\\"').split())


def extended_line(variant: Variant, infos: Mapping[str, Sequence[str]]) -> bytes:
    """The record's line, with values of the alternatives at the end of INFO; the rest is as it was.

    A record without alternatives has no place for values of them, and stays as it is.
    """
    fields = list(variant.fields)
    if fields[4] != b".":
        own = [] if fields[7] in (b"", b".") else [fields[7].rstrip(b";")]
        added = [f"{key}={','.join(values)}".encode() for key, values in infos.items()]
        fields[7] = b";".join([*own, *added]) or b"."
    return b"\t".join(fields) + b"\n"


@contextmanager
def bgzipped(path: str | os.PathLike[str], index: str | None = None) -> Iterator[BinaryIO]:
    """Write a bgzipped file, whole or not at all, with an index of VCF beside it.

    Args:
        path: the file.
        index: ``tbi`` or ``csi``; None makes none, and removes an old one, which would be of
            another file.
    """
    import pysam

    made: Path | None = None
    try:
        with atomic_path(path) as temporary:
            with pysam.BGZFile(os.fspath(temporary), "wb", None) as stream:
                yield cast("BinaryIO", stream)
            if index is not None:
                made = Path(f"{temporary}.{index}")
                pysam.tabix_index(
                    os.fspath(temporary), preset="vcf", force=True, csi=index == "csi"
                )
            # An index without its file is harmless, a file with another's is not.
            for suffix in ("tbi", "csi"):
                Path(f"{path}.{suffix}").unlink(missing_ok=True)
        if made is not None:
            umask = os.umask(0)
            os.umask(umask)
            made.chmod(0o666 & ~umask)
            made.replace(f"{path}.{index}")
    finally:
        if made is not None:
            made.unlink(missing_ok=True)
