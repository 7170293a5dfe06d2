"""What jobs have written to their logs."""

from __future__ import annotations

import os
import re

TAIL_BYTES = 2**16


_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, movements of the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


_SENTENCE = re.compile(
    r"(?:srun: |slurmstepd: )?error: .+|stopped(?: by SIG\w+)?"
    r"|[\w.]*(?:Error|Exception|Interrupt)(?:: .+)?"
)


def log_tail(path: str | os.PathLike[str], lines: int = 15) -> list[str]:
    """The last lines of a log that say anything, without colours and the like.

    Of a progress bar, which overwrites itself, the last state is kept. An unreadable log has none.
    """
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = stream.seek(max(size - TAIL_BYTES, 0))
            text = stream.read().decode(errors="replace")
    except (OSError, ValueError):
        return []
    found = text.split("\n")
    if start:
        del found[0]  # part of a line
    plain = (_CONTROL.sub("", line.rstrip().rpartition("\r")[2]).rstrip() for line in found)
    return [line for line in plain if line][-lines:]


def last_sentence(path: str | os.PathLike[str]) -> str | None:
    """What a failed job's log ends with: ``error: ...``, an exception, that it was stopped.

    None for a log without: that of a job that was killed.
    """
    said = [line for line in log_tail(path, 50) if _SENTENCE.fullmatch(line)]
    return said[-1] if said else None
