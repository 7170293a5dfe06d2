"""FASTA, as a stream.

A record is a line that begins with ``>`` and the lines that follow it. Its id is the first word of
that line; ids may repeat. Lines may be wrapped anyhow, blank, end in LF, CR LF or CR alone, and
white space within them is dropped. Comments (``;``) are not supported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from degu.errors import InputError
from degu.genomics.blocks import Block
from degu.io.streams import LONGEST, Source, Stream

# Records of larger chunks would no longer be in the processor's caches when they are cut.
_CHUNK = 1 << 19
_NO_WORD = (b"",)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that no id may have, since no table could hold it."""


def read_fasta(source: Source) -> Iterator[Block]:
    """Yield the records of a FASTA that is open, in pieces of any number.

    Raises:
        InputError: for a file that is empty, FASTQ, or has something else before its first ``>``;
            a record without an id or without a sequence, comments, ids that are no text; names
            the file and the line.
    """
    pending = bytearray()
    started = False
    for chunk in _normalised(source.stream):
        searched = max(len(pending) - 1, 0)
        pending += chunk
        if not started:
            blank = len(pending) - len(pending.lstrip())
            source.line += pending[:blank].count(b"\n")
            del pending[:blank]
            if not pending:
                continue
            _check_start(pending, source)
            started, searched = True, 0
        end = pending.rfind(b"\n>", searched)
        if end >= 0:
            records = bytes(memoryview(pending)[:end])
            del pending[: end + 1]
            yield _records(records, source)
        elif len(pending) > LONGEST:
            raise InputError(
                f"{source.path}, line {source.line + 1}: the record is longer than {LONGEST:,} "
                "bytes; cut it into shorter ones."
            )
    if not started:
        raise InputError(f"{source.path} is empty; a FASTA begins with '>' and an id.")
    yield _records(bytes(pending), source)


def _normalised(stream: Stream) -> Iterator[bytes]:
    """Chunks of the file with all ends of lines as LF."""
    held = b""
    while chunk := stream.read(_CHUNK):
        if held or b"\r" in chunk:
            chunk = held + chunk
            # Its LF may be the first byte of the next chunk.
            held = chunk[-1:] if chunk.endswith(b"\r") else b""
            chunk = chunk.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield chunk
    if held:
        yield b"\n"


def _check_start(text: bytearray, source: Source) -> None:
    if text.startswith(b">"):
        return
    where = f"{source.path}, line {source.line + 1}"
    if text.startswith(b"@"):
        raise InputError(f"{where}: this is FASTQ or SAM; convert it, as `samtools fasta` does.")
    if text.startswith(b";"):
        raise _comment(where)
    start = bytes(text[:20]).decode(errors="replace")
    raise InputError(
        f"{where}: a FASTA begins with '>' and an id, but this file with {start!r}; remove what is "
        "before its first record."
    )


def _records(text: bytes, source: Source) -> Block:
    """Whole records, the first of which begins with the text."""
    words: list[bytes] = []
    sequences: list[bytes] = []
    records = text[1:].split(b"\n>")
    for record in records:
        header, _, lines = record.partition(b"\n")
        words.append((header.split(None, 1) or _NO_WORD)[0])
        sequences.append(b"".join(lines.split()))

    def refuse(record: int, problem: str) -> InputError:
        before = sum(lines.count(b"\n") + 1 for lines in records[:record])
        return InputError(f"{source.path}, line {source.line + before + 1}: {problem}.")

    if not all(words):
        raise refuse(words.index(b""), "the record has no id; write one after '>'")
    ids = _decoded(words)
    if ids is None:
        bad = next(i for i, word in enumerate(words) if _decoded([word]) is None)
        problem = f"the id {words[bad]!r:.80} is not printable UTF-8 text; rename the record"
        raise refuse(bad, problem)
    if not all(sequences):
        bad = sequences.index(b"")
        raise refuse(bad, f"the record {ids[bad]!r} has no sequence; leave it out")
    if b";" in text and (comment := text.find(b"\n;")) >= 0:
        before = source.line + text.count(b"\n", 0, comment + 1)
        raise _comment(f"{source.path}, line {before + 1}")
    source.line += text.count(b"\n") + 1
    return Block(ids, sequences)


def _comment(where: str) -> InputError:
    return InputError(f"{where}: comments (';') are not supported in a FASTA; leave them out.")


def _decoded(words: list[bytes]) -> list[str] | None:
    """Words without white space as text; None if any is not UTF-8 or has control characters."""
    try:
        text = b" ".join(words).decode()
    except UnicodeDecodeError:
        return None
    return None if CONTROL.search(text) else text.split(" ")
