"""A genome: any stretch of a plain or bgzipped FASTA."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pysam

from degu.errors import InputError
from degu.io.files import atomic_path
from degu.io.streams import is_bgzip, open_source

_SHOWN_CONTIGS = 5
# Contigs at most whose place an index must have right, and bytes at most from one to the next.
_CHECKED_CONTIGS = 250
_HEADERS = 2**16
_LONGEST_BLOCK = 2**16
# A line of a .fai: name, bases, offset of the first one, bases and bytes of a line.
_ENTRY = re.compile(rb"([^\t]+)" + rb"\t(\d{1,15})" * 4)

# Of bytes of the uncompressed file: where, how many.
_Read = Callable[[int, int], bytes]


class Genome:
    """Sequences of contigs by their coordinates, 0-based and half-open.

    The index (``.fai``, of bgzip also ``.gzi``, as of ``samtools faidx``) is taken from beside the
    file. Where it is missing, older than the file, or of another file, it is made anew; where that
    folder cannot be written, in ``$XDG_CACHE_HOME/degu/genomes`` (``~/.cache``), by the file's
    path, size and time of modification.

    Fetching 249 bases takes some microseconds, of a bgzipped file only where regions are sorted
    (else a third of a millisecond).

    Args:
        path: a FASTA, plain or compressed by bgzip.

    Attributes:
        path: of the FASTA.
        lengths: bases of each contig by its name in the file, in the file's order.

    Raises:
        InputError: for a file that is missing, compressed by plain gzip, no FASTA, or one whose
            contigs have lines of different lengths; names the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        compressed = _check_fasta(self.path)
        # htslib takes a name for an option or an address, if it looks like one.
        absolute = os.path.abspath(path)
        fai, gzi = _index(absolute, compressed)
        try:
            with _quiet():
                self._file = pysam.FastaFile(
                    absolute,
                    filepath_index=str(fai),
                    filepath_index_compressed=str(gzi) if gzi else None,
                )
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} cannot be read ({error}); check the file.") from error
        names = self._file.references
        self.lengths: dict[str, int] = dict(zip(names, self._file.lengths, strict=True))
        self._known = {name: name for name in names}
        self._alike: dict[str, list[str]] = {}
        for name in names:
            self._alike.setdefault(_bare(name), []).append(name)

    def contig(self, name: str) -> str:
        """The file's own name of a contig, which may differ by a prefix ``chr`` and by M for MT.

        Raises:
            InputError: if there is no such contig, or several.
        """
        if name not in self._known:
            bare = _bare(name)
            other = {"M": "MT", "MT": "M"}.get(bare, bare)
            found = self._alike.get(bare) or self._alike.get(other) or []
            if not found:
                shown = ", ".join([*self.lengths][:_SHOWN_CONTIGS])
                more = ", ..." if len(self.lengths) > _SHOWN_CONTIGS else ""
                raise InputError(
                    f"{self.path} has no contig {name!r}, only {shown}{more}; use the assembly "
                    "that the coordinates are of."
                )
            if len(found) > 1:
                raise InputError(
                    f"{self.path} has no contig {name!r}, but {' and '.join(found)}; write which "
                    "one is meant."
                )
            self._known[name] = found[0]
        return self._known[name]

    def fetch(self, name: str, start: int, stop: int) -> bytes:
        """Letters of [start, stop) as the file has them, with N beyond the contig's ends.

        Args:
            name: of the contig, as :meth:`contig` takes it.
            start: 0-based, may be negative.
            stop: at least ``start``, may be beyond the end.

        Raises:
            InputError: for an unknown contig, or a file that is damaged there.
        """
        own = self.contig(name)
        first, last = max(start, 0), min(stop, self.lengths[own])
        if first >= last:
            return b"N" * (stop - start)
        verbosity = pysam.set_verbosity(0)  # as in _quiet, which would take as long as fetching
        try:
            letters = self._file.fetch(own, first, last).encode()
        except (OSError, ValueError) as error:
            raise self._damaged(own, first, last) from error
        finally:
            pysam.set_verbosity(verbosity)
        if len(letters) != last - first:
            raise self._damaged(own, first, last)
        return b"N" * (first - start) + letters + b"N" * (stop - last)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _damaged(self, name: str, start: int, stop: int) -> InputError:
        return InputError(
            f"{self.path} cannot be read at {name}:{start}-{stop}; it is damaged or was changed: "
            "make or download it again."
        )


def _bare(name: str) -> str:
    return name[3:] if name[:3].lower() == "chr" else name


def _check_fasta(path: str) -> bool:
    """Whether the FASTA is compressed by bgzip."""
    with open_source(path) as source:
        start = source.stream.peek(1)[:1]
    if start != b">":
        what = "is empty" if not start else "is not a FASTA, which begins with '>'"
        raise InputError(f"{path} {what}; name the genome's FASTA.")
    with open(path, "rb") as stream:
        head = stream.read(18)
    if head.startswith(b"\x1f\x8b") and not is_bgzip(head):
        raise InputError(
            f"{path} is compressed by gzip, which has no random access; compress it by bgzip "
            f"(gunzip {path} && bgzip {path.removesuffix('.gz')})."
        )
    return is_bgzip(head)


def _index(path: str, compressed: bool) -> tuple[Path, Path | None]:
    """The files of a valid index, made where there is none."""
    state = os.stat(path)
    key = f"{os.path.realpath(path)}|{state.st_size}|{state.st_mtime_ns}"
    digest = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # there is no home
        home = "."
    cached = Path(home) / "degu/genomes" / digest
    places = [
        (Path(f"{place}.fai"), Path(f"{place}.gzi") if compressed else None)
        for place in (path, cached)
    ]
    for fai, gzi in places:
        if _is_valid(path, fai, gzi, state.st_mtime_ns):
            return fai, gzi
    for fai, gzi in places:
        with suppress(OSError):
            _make_index(path, fai, gzi)
            return fai, gzi
    raise InputError(
        f"{path} has no index, and none can be written beside it or in {cached.parent}; let "
        "XDG_CACHE_HOME name a folder that can be written."
    )


def _make_index(path: str, fai: Path, gzi: Path | None) -> None:
    options = []
    with ExitStack() as made:
        for option, file in (("--fai-idx", fai), ("--gzi-idx", gzi)):
            if file:
                options += [option, str(made.enter_context(atomic_path(file)))]
        try:
            with _quiet():
                pysam.faidx(*options, path)
        except pysam.SamtoolsError as error:
            raise InputError(
                f"{path} cannot be indexed as by `samtools faidx`; it must be a whole FASTA, and "
                "all lines of a contig but its last one equally long."
            ) from error


@dataclass(frozen=True)
class _Contig:
    """A line of an index: where in the file bases begin, and bases and bytes of a line."""

    name: bytes
    length: int
    start: int
    bases: int
    width: int

    @property
    def end(self) -> int:
        last = self.length - 1
        return self.start + last // self.bases * self.width + last % self.bases + 1


def _is_valid(path: str, fai: Path, gzi: Path | None, changed: int) -> bool:
    """Whether an index is there, not older than the file, and says where contigs are in it."""
    try:
        if any(file and file.stat().st_mtime_ns < changed for file in (fai, gzi)):
            return False
        contigs = []
        for line in fai.read_bytes().removesuffix(b"\n").split(b"\n"):
            entry = _ENTRY.fullmatch(line)
            if not entry:
                return False
            name, *numbers = entry.groups()
            contigs.append(_Contig(name, *map(int, numbers)))
        ends = [0, *(contig.end for contig in contigs)]
        with _reader(path, gzi) as read:
            return not _other_lines(read(ends[-1], _HEADERS)) and all(
                _follows(contigs[i], ends[i], read)
                for i in range(0, len(contigs), len(contigs) // _CHECKED_CONTIGS + 1)
            )
    except (OSError, EOFError, ValueError, ArithmeticError, zlib.error, struct.error):
        return False


def _follows(contig: _Contig, before: int, read: _Read) -> bool:
    """Whether a contig is where the index has it, after another one that ends at ``before``."""
    if not (0 < contig.start - before <= _HEADERS and 0 <= contig.width - contig.bases <= 2):
        return False
    headers = read(before, contig.start - before)
    if _other_lines(headers) or not headers.endswith(b"\n"):
        return False
    if headers.split(b"\n")[-2][1:].split()[:1] != [contig.name]:
        return False
    end_of_line = read(contig.start + contig.bases, contig.width - contig.bases)
    wrapped = contig.length > contig.bases
    return bool(read(contig.end - 1, 1).strip()) and (
        not wrapped or end_of_line in (b"\n", b"\r\n")
    )


def _other_lines(text: bytes) -> bool:
    """Whether there is anything but headers."""
    return any(line.strip() and not line.startswith(b">") for line in text.split(b"\n"))


@contextmanager
def _reader(path: str, gzi: Path | None) -> Iterator[_Read]:
    with open(path, "rb") as stream:
        blocks = [(0, 0)]
        if gzi:
            content = gzi.read_bytes()
            blocks += struct.iter_unpack("<QQ", content[8:])
            if len(blocks) != struct.unpack("<Q", content[:8])[0] + 1:
                raise ValueError("the index is not whole")
        starts = [uncompressed for _, uncompressed in blocks]

        def read(offset: int, size: int) -> bytes:
            if not gzi:
                stream.seek(offset)
                return stream.read(size)
            compressed, uncompressed = blocks[bisect_right(starts, offset) - 1]
            if offset - uncompressed > _LONGEST_BLOCK:
                return b""
            stream.seek(compressed)
            with gzip.GzipFile(fileobj=stream) as unzipped:
                unzipped.read(offset - uncompressed)
                return unzipped.read(size)

        yield read


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what htslib says on stderr beside its errors."""
    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)
