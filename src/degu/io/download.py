"""Fetching one large file over HTTP, resumably.

The bytes are collected in ``<path>.part``, and ``<path>.part.json`` says which version of which URL
they are. Both survive an interrupted run, and the next one asks the server for the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)
from urllib3.exceptions import HTTPError

from degu.errors import InputError
from degu.io.files import atomic_path

logger = logging.getLogger(__name__)


BLOCK = 1 << 16  # bytes; at most this much is lost when a connection is cut


TRANSIENT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    HTTPError,  # urllib3's base class: what reading a raw body raises
)


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    attempts: int = 8,
    first_wait: float = 1.0,
    longest_wait: float = 120.0,
    timeout: float = 60.0,
    report_every: float = 5.0,
) -> str:
    """Fetch a file, resuming what an earlier try left; ``path`` appears only when it is whole.

    Cut connections, timeouts, 429 and 5xx are retried with exponential back-off and jitter, or
    after the server's ``Retry-After`` if that is longer. A partial file is continued with a
    ``Range`` request only if the server vouches (``If-Range``: entity tag or modification date)
    that the remote file is still the same one; otherwise it starts afresh. Proxies and
    certificates come from the environment, as in ``requests``. The bytes are stored as sent.

    Args:
        url: http or https address.
        path: the file to write; its directory is made.
        sha256: expected SHA-256 in hexadecimal; None accepts any content.
        attempts: tries in a row that may fail without bringing the file further. A try that was
            cut after bringing new bytes does not count.
        first_wait: seconds before the second try; doubled for each one after it.
        longest_wait: seconds, the most that is waited between tries, whatever the server asks.
        timeout: seconds without a byte (or without a connection) after which a try has failed.
        report_every: seconds between two lines of progress in the log.

    Returns:
        SHA-256 of the file, lower-case hexadecimal.

    Raises:
        InputError: for an address that is not http(s), a malformed or different SHA-256, an answer
            that no further try can mend (404, ...), another process downloading the same file, or
            when the tries are used up. What has arrived is kept, except after a different SHA-256.
    """
    check_url(url)
    expected = check_sha256(sha256)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    note = path.with_name(f"{path.name}.part.json")
    backoff = wait_exponential(first_wait, max=longest_wait) + wait_random(0, first_wait)

    def wait(state: RetryCallState) -> float:
        return min(max(backoff(state), _interruption(state).retry_after), longest_wait)

    def announce(state: RetryCallState) -> None:
        logger.warning("%s; trying again in %.1f s", _interruption(state), state.upcoming_sleep)

    patiently = Retrying(
        retry=retry_if_exception_type(_Interrupted),
        stop=stop_after_attempt(attempts),
        wait=wait,
        before_sleep=announce,
        reraise=True,
    )
    with _exclusive(part) as stream, requests.Session() as session:
        transfer = _Transfer(
            session, url, stream, note, timeout, _progress(path.name, report_every)
        )
        try:
            while not patiently(transfer.advance):
                time.sleep(first_wait)
        except _Interrupted as error:
            raise InputError(
                f"{url} (data.url) could not be downloaded: {error}, the last of {attempts} tries "
                "without progress; start again later (what has arrived is kept and continued), or "
                "get the file by other means and set data.path."
            ) from error
        if stream.seek(0, os.SEEK_END) == 0:
            note.unlink(missing_ok=True)
            raise InputError(f"{url} (data.url) is an empty file; correct data.url.")
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if expected is not None and digest != expected:
            part.unlink()
            note.unlink(missing_ok=True)
            raise InputError(
                f"{url} (data.url) has the SHA-256 {digest}, but data.sha256 is {expected}; "
                "correct data.sha256 if the file was published anew, or else download it again."
            )
        os.fsync(stream.fileno())
        part.replace(path)
        note.unlink(missing_ok=True)
    return digest


def check_url(url: str) -> None:
    """InputError unless ``url`` is an http(s) address with a host."""
    try:
        pieces = urlsplit(url)
        valid = pieces.scheme in ("http", "https") and bool(pieces.hostname) and pieces.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(
            f"data.url is {url!r}, which is not an http or https address; correct it, or set "
            "data.path for a local file."
        )


def check_sha256(text: str | None) -> str | None:
    """A configured SHA-256 in lower case (None stays None); InputError if it cannot be one."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise InputError(
            f"data.sha256 is {text!r}, where 64 hexadecimal digits are needed; copy it again."
        )
    return text.lower()


class _Interrupted(Exception):
    """A try failed in a way that another one may mend.

    ``retry_after``: seconds that the server asked for, 0 if it did not.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class _Version:
    """Which content a partial file is the beginning of; ``size`` in bytes, None if not told."""

    url: str
    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None

    @classmethod
    def of(cls, url: str, response: requests.Response, size: int | None) -> _Version:
        headers = response.headers
        return cls(url, headers.get("ETag"), headers.get("Last-Modified"), size)

    @classmethod
    def load(cls, path: Path) -> _Version | None:
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, path: Path) -> None:
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)))

    @property
    def validator(self) -> str | None:
        """Value for If-Range, which takes no weak entity tag (RFC 9110, section 13.1.5)."""
        strong = self.etag is not None and not self.etag.startswith("W/")
        return self.etag if strong else self.last_modified

    def contradicts(self, other: _Version) -> bool:
        """Whether something that both versions tell differs."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)


@dataclass
class _Transfer:
    """A download under way; ``reached`` is the largest size that the partial file has had."""

    session: requests.Session
    url: str
    stream: io.BufferedRandom
    note: Path
    timeout: float
    report: Callable[[int, int | None], None]

    def __post_init__(self) -> None:
        self.reached, _ = self._resumable()

    def advance(self) -> bool:
        """One request. True if the file is whole, False if it is further than it ever was.

        Raises:
            _Interrupted: nothing new arrived, but it may the next time.
            InputError: another try would end the same way.
        """
        before = self.reached
        try:
            return self._request()
        except TRANSIENT as error:
            cut: Exception = _Interrupted(f"{self.url} was cut off ({_reason(error)})")
            cut.__cause__ = error
        except _Interrupted as error:
            cut = error
        except requests.RequestException as error:
            raise InputError(
                f"{self.url} (data.url) cannot be requested ({_reason(error)}); correct it."
            ) from error
        self.reached = max(self.reached, self._size())
        if self.reached > before:
            logger.warning("%s; going on from %.1f MB", cut, self._size() / 1e6)
            return False
        raise cut

    def _request(self) -> bool:
        start, version = self._resumable()
        # Ranges count the bytes as sent, so that a compressed transfer could not be resumed.
        headers = {"Accept-Encoding": "identity"}
        if version is not None:
            headers |= {"Range": f"bytes={start}-", "If-Range": str(version.validator)}
        with self.session.get(
            self.url, headers=headers, stream=True, timeout=self.timeout
        ) as response:
            status = response.status_code
            first, total = _content_range(response)
            if version is not None and status in (206, 416):
                same = not version.contradicts(_Version.of(self.url, response, total))
                if status == 416 and same and version.size == total == start:
                    return True  # it was whole, and killed before it was given its name
                if status == 416 or not same or first != start:
                    self._restart(None)
                    raise _Interrupted(
                        f"{self.url} changed, or its server does not continue at byte {start}"
                    )
                total = total if total is not None else version.size
                logger.info("%s: going on from %.1f MB", self.url, start / 1e6)
            elif status == 200:
                length = response.headers.get("Content-Length", "")
                total = int(length) if length.isdecimal() else None
                self._restart(_Version.of(self.url, response, total))
            elif status == 429 or status >= 500:
                raise _Interrupted(
                    f"{self.url} answered {_status(response)}", _retry_after(response)
                )
            else:
                raise InputError(
                    f"{self.url} (data.url) answered {_status(response)}; correct data.url, or get "
                    "the file by other means and set data.path."
                )
            for block in response.raw.stream(BLOCK, decode_content=False):
                self.stream.write(block)
                self.report(self.stream.tell(), total)
        size = self._size()
        if total is not None and size != total:
            raise _Interrupted(f"{self.url} ended after {size} of {total} bytes")
        return True

    def _size(self) -> int:
        return self.stream.seek(0, os.SEEK_END)

    def _resumable(self) -> tuple[int, _Version | None]:
        """Size and version of the partial file; the version is None if it must start afresh."""
        version = _Version.load(self.note)
        size = self._size()
        if size == 0 or version is None or version.validator is None or version.url != self.url:
            return 0, None
        return size, version

    def _restart(self, version: _Version | None) -> None:
        """Empty the partial file, and only then note what its next content will be."""
        self.stream.seek(0)
        self.stream.truncate()
        if version is None:
            self.note.unlink(missing_ok=True)
        else:
            version.save(self.note)


@contextmanager
def _exclusive(part: Path) -> Iterator[io.BufferedRandom]:
    """The partial file, held by this process alone.

    Two processes that append to one file (a killed workflow may leave a job behind) would mix
    their bytes.
    """
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last holder may have renamed or removed the file between open and lock.
            free = part.exists() and os.path.samestat(os.fstat(stream.fileno()), part.stat())
        except BlockingIOError:
            free = False
        except OSError as error:  # some cluster file systems have no locks
            logger.warning("%s cannot be locked (%s); start no second download", part, error)
            free = True
        if not free:
            raise InputError(
                f"{part} is being written by another process; wait until it is done, or end it."
            )
        try:
            yield stream
        finally:
            if stream.seek(0, os.SEEK_END) == 0:
                part.unlink(missing_ok=True)


def _progress(name: str, every: float) -> Callable[[int, int | None], None]:
    """A function that logs (bytes so far, bytes in all), but seldom."""
    last = time.monotonic()

    def report(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if done != total and now - last < every:
            return
        last = now
        if total:
            share = 100 * done / total
            logger.info("%s: %3.0f%% (%.1f of %.1f MB)", name, share, done / 1e6, total / 1e6)
        else:
            logger.info("%s: %.1f MB", name, done / 1e6)

    return report


def _interruption(state: RetryCallState) -> _Interrupted:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, _Interrupted)
    return error


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and size of the whole file, as far as Content-Range tells them."""
    match = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", response.headers.get("Content-Range", "").strip()
    )
    first, total = match.groups() if match else (None, None)
    return None if first is None else int(first), None if total is None else int(total)


def _retry_after(response: requests.Response) -> float:
    """Seconds that Retry-After asks for, given as a number or as a date; 0 if it asks nothing."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if when.tzinfo is None:  # "-0000": UTC of an unknown place
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def _reason(error: Exception) -> str:
    """One line on what went wrong, from the innermost of the nested errors of requests."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    error = getattr(error, "reason", None) or error
    text = str(error.args[0]) if error.args else type(error).__name__
    return " ".join(text.split())
