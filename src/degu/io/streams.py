"""Text files as a stream of bytes, gzipped or not, read once from front to back.

What a person hands in may be damaged, huge or a pipe: memory stays bounded, and whatever fails
while the file is read is said in one sentence that names it.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from degu.errors import InputError

LONGEST = 2**29
"""Bytes of one sequence, more than any human chromosome has; what goes on longer is refused."""

_GZIP = b"\x1f\x8b"
_OTHER = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# The empty block that ends a file of bgzip (SAM/BAM format specification, 4.1.2).
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BGZIP_START = _BGZIP_END[:4]


Stream: TypeAlias = io.BufferedReader | gzip.GzipFile


@dataclass
class Source:
    """A file that is being read.

    Attributes:
        path: as it was given.
        stream: of its uncompressed bytes, without a byte-order mark.
        line: the line that a reader has come to, as an editor counts; readers keep it.
    """

    path: str
    stream: Stream
    line: int = 0


@contextmanager
def open_source(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a plain, gzipped or bgzipped file; compression is told by its first bytes.

    Raises:
        InputError: at opening for a file that is missing, a directory, unreadable, compressed by
            other means, UTF-16, or of bgzip and without its end; while it is read, for damaged
            compression and other failures. Names the file, and the line where there is one.
    """
    path = os.fspath(path)
    source = None
    try:
        if os.path.isdir(path):
            raise InputError(f"{path} is a directory; name the file in it.")
        with open(path, "rb") as raw:
            for start, name in _OTHER.items():
                if raw.peek(len(start)).startswith(start):
                    raise InputError(f"{path} is compressed by {name}; use gzip or bgzip.")
            stream: Stream = raw
            if raw.peek(2).startswith(_GZIP):
                _check_end_of_bgzip(raw, path)
                stream = gzip.GzipFile(fileobj=raw)
            if stream.peek(2).startswith(_UTF_16):
                raise InputError(f"{path} is not text in UTF-8, but in UTF-16; save it anew.")
            if stream.peek(3).startswith(_BYTE_ORDER_MARK):
                stream.read(3)
            source = Source(path, stream)
            yield source
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        line = source.line if source else 0
        raise InputError(
            f"{path} is a damaged or truncated gzip file, readable to about line {line}; make or "
            "download it again."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be read ({reason}); check the file.") from error


def is_bgzip(start: bytes) -> bool:
    """Whether the first 18 bytes of a file are those of bgzip, which gzip reads as well."""
    return start.startswith(_BGZIP_START) and start[12:14] == b"BC"


def _check_end_of_bgzip(raw: BinaryIO, path: str) -> None:
    """A file of bgzip that is cut between two blocks is whole to gzip."""
    state = os.fstat(raw.fileno())
    if not stat.S_ISREG(state.st_mode):
        return
    start = os.pread(raw.fileno(), 18, 0)
    end = os.pread(raw.fileno(), len(_BGZIP_END), max(0, state.st_size - len(_BGZIP_END)))
    if is_bgzip(start) and end != _BGZIP_END:
        raise InputError(
            f"{path} is a truncated file of bgzip (its end mark is missing); make or download it "
            "again."
        )
