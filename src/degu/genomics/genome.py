"""A genome: any stretch of a plain or bgzipped FASTA."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pysam

from degu.errors import InputError
from degu.io.files import atomic_path
from degu.io.streams import is_bgzip, open_source

_SHOWN_CONTIGS = 5
# Contigs whose place an index must have right, and how far before it a header may begin.
_CHECKED_CONTIGS = 1000
_LONGEST_HEADER = 4096

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
        fai, gzi = _index(self.path, compressed)
        try:
            with _quiet():
                self._file = pysam.FastaFile(
                    self.path,
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
        try:
            letters = self._file.fetch(own, first, last).encode()
        except (OSError, ValueError) as error:
            raise self._damaged(own, first, last) from error
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
    with atomic_path(fai) as fai_made, atomic_path(gzi or fai) as gzi_made:
        try:
            with _quiet():
                pysam.faidx("--fai-idx", str(fai_made), "--gzi-idx", str(gzi_made), path)
        except pysam.SamtoolsError as error:
            raise InputError(
                f"{path} cannot be indexed; all lines of a contig but its last must be equally "
                "long, and names must differ, which `samtools faidx` checks."
            ) from error
        if gzi is None:
            gzi_made.write_bytes(fai_made.read_bytes())


def _is_valid(path: str, fai: Path, gzi: Path | None, changed: int) -> bool:
    """Whether an index is there, not older than the file, and right about where contigs begin."""
    try:
        if any(file and file.stat().st_mtime_ns < changed for file in (fai, gzi)):
            return False
        entries = []
        for line in fai.read_text().splitlines():
            name, *numbers = line.split("\t")
            length, offset, bases, width = map(int, numbers)
            entries.append((name, offset, offset + length // bases * width + length % bases))
        with _reader(path, gzi) as read:
            return _fits(entries, read)
    except (OSError, EOFError, ValueError, zlib.error, struct.error, ZeroDivisionError):
        return False


def _fits(entries: list[tuple[str, int, int]], read: _Read) -> bool:
    for name, offset, _ in entries[:: max(1, len(entries) // _CHECKED_CONTIGS)]:
        size = min(offset, _LONGEST_HEADER)
        before = b"\n" + read(offset - size, size)
        start = before.rfind(b"\n>")
        if not before.endswith(b"\n") or (start < 0 and size == offset):
            return False
        if start >= 0 and (before[start + 2 :].split() or [b""])[0] != name.encode():
            return False
    end = max((end for _, _, end in entries), default=0)
    return bool(entries) and len(read(end - 1, 1)) == 1 and not read(end, 64).strip()


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
