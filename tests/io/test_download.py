"""Downloads, against a real HTTP server that misbehaves on request."""

from __future__ import annotations

import gzip
import hashlib
import logging
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import degu.io.download
from degu.errors import InputError

CONTENT = random.Random(1).randbytes(300_000)
CHUNK = 10_000
MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"

download = partial(degu.io.download.download, first_wait=0.01, longest_wait=0.05, timeout=5)


@dataclass
class Answer:
    """How the server answers one request; the defaults are a well-behaved server."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None  # from this request on
    etag: str | None = None  # from this request on
    cut_after: int | None = None  # bytes of body, then the connection is closed
    reset: bool = False  # ... with a TCP reset rather than an orderly end
    stall: float = 0  # seconds of silence before the cut
    ranges: bool = True
    if_range: bool = True
    shift: int = 0  # sends a range that begins this many bytes off
    slice: int | None = None  # most bytes that it sends of a range
    claimed: int = 0  # bytes that Content-Length is too large by
    chunked: bool = False  # of a body, or with a cut, that is a multiple of CHUNK


@dataclass
class Request:
    headers: dict[str, str]
    target: str
    time: float
    status: int = 0
    sent: int = 0


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reset()

    def reset(
        self, *script: Answer, content: bytes = CONTENT, validators: dict[str, str] | None = None
    ) -> None:
        self.script = list(script)
        self.content = content
        self.validators = validators or {"ETag": '"one"', "Last-Modified": MODIFIED}
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data.txt"

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.requests)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that was killed


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        answer = server.script.pop(0) if server.script else Answer()
        if answer.content is not None:
            server.content = answer.content
        if answer.etag is not None:
            server.validators["ETag"] = answer.etag
        request = Request(dict(self.headers), self.path, time.monotonic())
        server.requests.append(request)
        status, headers, body = self._answer(answer)
        request.status, request.sent = status, len(body)
        if answer.cut_after is not None:
            request.sent = min(len(body), answer.cut_after)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if answer.chunked:
            for start in range(0, request.sent, CHUNK):
                self.wfile.write(b"%x\r\n%b\r\n" % (CHUNK, body[start : start + CHUNK]))
        else:
            self.wfile.write(body[: request.sent])
        if answer.chunked and answer.cut_after is None:
            self.wfile.write(b"0\r\n\r\n")
        time.sleep(answer.stall)
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = answer.cut_after is not None or answer.claimed != 0

    def _answer(self, answer: Answer) -> tuple[int, dict[str, str], bytes]:
        content = self.server.content
        headers = self.server.validators | answer.headers
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        validator = self.headers.get("If-Range")
        same = validator in (None, *self.server.validators.values()) or not answer.if_range
        status, body = answer.status, content
        if status >= 300:
            body = b"an error page"
        elif wanted and answer.ranges and same:
            start = int(wanted[1])
            if start >= len(content):
                status, body = 416, b""
                headers["Content-Range"] = f"bytes */{len(content)}"
            else:
                status, start = 206, start - answer.shift
                body = content[start:][: answer.slice]
                end = start + len(body) - 1
                headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        if answer.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) + answer.claimed)
        return status, headers, body


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(shared_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shared_server.reset()
    return shared_server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "resources" / "data.txt"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def assert_whole(target: Path, content: bytes = CONTENT) -> None:
    """The file is there, equal, and nothing else lies beside it."""
    assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]


def assert_nothing(target: Path) -> None:
    assert list(target.parent.iterdir()) == []


def test_whole_file_in_one_request(server: Server, target: Path) -> None:
    assert download(server.url, target) == sha256(CONTENT)
    assert_whole(target)
    assert len(server.requests) == 1
    assert "Range" not in server.requests[0].headers


def test_size_that_is_not_told(server: Server, target: Path) -> None:
    server.reset(Answer(chunked=True))
    assert download(server.url, target) == sha256(CONTENT)
    assert_whole(target)


def test_permissions_follow_the_umask(server: Server, target: Path) -> None:
    download(server.url, target)
    plain = target.with_name("plain")
    plain.touch()
    assert target.stat().st_mode == plain.stat().st_mode


def test_expected_digest_in_either_case(server: Server, target: Path) -> None:
    assert download(server.url, target, sha256=sha256(CONTENT).upper()) == sha256(CONTENT)


@pytest.mark.parametrize("chunked", [False, True])
def test_cut_connections_resume_without_resending(
    server: Server, target: Path, chunked: bool
) -> None:
    server.reset(*(Answer(cut_after=n, chunked=chunked) for n in (100_000, 70_000)))
    assert download(server.url, target, sha256=sha256(CONTENT)) == sha256(CONTENT)
    assert_whole(target)
    assert [request.status for request in server.requests] == [200, 206, 206]
    assert server.requests[2].headers["If-Range"] == '"one"'
    assert server.requests[2].headers["Range"] == "bytes=170000-"
    assert server.sent == len(CONTENT)


def test_connection_reset(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=150_000, stall=0.1, reset=True))
    download(server.url, target)
    assert_whole(target)
    # What the kernel held when the reset came is lost, and no more than that.
    assert len(CONTENT) <= server.sent < len(CONTENT) + 150_000


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=5))
def test_any_cuts(shared_server: Server, tmp_path_factory, cuts: list[int]) -> None:
    shared_server.reset(*(Answer(cut_after=n) for n in cuts))
    target = tmp_path_factory.mktemp("cuts") / "data.txt"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "127.0.0.1")
        download(shared_server.url, target, first_wait=0.001)
    assert_whole(target)
    assert shared_server.sent == len(CONTENT)


def test_cuts_that_bring_new_bytes_use_up_no_tries(server: Server, target: Path) -> None:
    server.reset(*(Answer(cut_after=20_000) for _ in range(10)))
    download(server.url, target, attempts=2, first_wait=0.001)
    assert_whole(target)
    assert server.sent == len(CONTENT)


def test_tries_end_without_progress_and_the_part_is_kept(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=120_000), *(Answer(cut_after=0) for _ in range(3)))
    with pytest.raises(InputError) as caught:
        download(server.url, target, attempts=3)
    assert re.search(r"cut off .* the last of 3 tries .* data\.path", str(caught.value))
    assert server.url in str(caught.value)
    assert len(server.requests) == 4
    assert not target.exists()
    assert target.with_name("data.txt.part").read_bytes() == CONTENT[:120_000]

    download(server.url, target)
    assert_whole(target)
    assert server.sent == len(CONTENT)


def test_silence_is_a_cut(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=100_000, stall=60))
    started = time.monotonic()
    download(server.url, target, timeout=0.5)
    assert time.monotonic() - started < 60
    assert_whole(target)
    assert server.requests[1].status == 206


def test_killed_download_is_held_alone_and_resumes(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=200_000, stall=600))
    part = target.with_name("data.txt.part")
    code = "import sys; from degu.io.download import download; download(*sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, server.url, str(target)])
    try:
        deadline = time.monotonic() + 120
        while not part.exists() or part.stat().st_size < 131_072:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(InputError, match=r"data\.txt\.part is being written by another"):
            download(server.url, target)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not target.exists()
    kept = part.stat().st_size

    download(server.url, target)
    assert_whole(target)
    assert [request.status for request in server.requests] == [200, 206]
    assert server.requests[1].headers["Range"] == f"bytes={kept}-"
    assert server.requests[1].sent == len(CONTENT) - kept


def test_part_of_another_address_is_not_continued(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=100_000), Answer(status=404))
    with pytest.raises(InputError):
        download(server.url, target)
    download(f"{server.url}?other", target)
    assert server.requests[2].status == 200
    assert "Range" not in server.requests[2].headers
    assert_whole(target)


@pytest.mark.parametrize("note", [None, "", "[1]", '{"url": 1, "surprise": 2}'])
def test_part_without_a_readable_note_starts_afresh(
    server: Server, target: Path, note: str | None
) -> None:
    target.parent.mkdir()
    target.with_name("data.txt.part").write_bytes(b"unknown")
    if note is not None:
        target.with_name("data.txt.part.json").write_text(note)
    download(server.url, target)
    assert_whole(target)
    assert "Range" not in server.requests[0].headers


def test_part_that_was_already_whole(server: Server, target: Path) -> None:
    # A directory in the file's place stops the run just before the last step.
    target.mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        download(server.url, target)
    target.rmdir()
    assert download(server.url, target) == sha256(CONTENT)
    assert_whole(target)
    assert [request.status for request in server.requests] == [200, 416]
    assert server.sent == len(CONTENT)


def test_remote_file_shrank(server: Server, target: Path) -> None:
    server.reset(
        Answer(cut_after=200_000),
        Answer(content=CONTENT[:50_000], etag='"two"', if_range=False),
    )
    download(server.url, target)
    assert_whole(target, CONTENT[:50_000])
    assert [request.status for request in server.requests] == [200, 416, 200]


@pytest.mark.parametrize("if_range", [True, False])
def test_changed_content_starts_afresh(server: Server, target: Path, if_range: bool) -> None:
    changed = random.Random(2).randbytes(len(CONTENT))
    server.reset(
        Answer(cut_after=100_000),
        Answer(content=changed, etag='"two"', if_range=if_range),
    )
    assert download(server.url, target) == sha256(changed)
    assert_whole(target, changed)
    statuses = [200, 200] if if_range else [200, 206, 200]
    assert [request.status for request in server.requests] == statuses


def test_server_without_ranges(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=100_000), Answer(ranges=False))
    download(server.url, target)
    assert_whole(target)
    assert server.sent == 100_000 + len(CONTENT)


def test_wrong_range(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=100_000), Answer(shift=7))
    download(server.url, target)
    assert_whole(target)
    assert [request.status for request in server.requests] == [200, 206, 200]


def test_range_shorter_than_asked_for(server: Server, target: Path) -> None:
    server.reset(Answer(cut_after=100_000), Answer(slice=50_000))
    download(server.url, target)
    assert_whole(target)
    assert [request.sent for request in server.requests] == [100_000, 50_000, 150_000]


def test_weak_tag_falls_back_to_the_date(server: Server, target: Path) -> None:
    server.reset(
        Answer(cut_after=100_000), validators={"ETag": 'W/"one"', "Last-Modified": MODIFIED}
    )
    download(server.url, target)
    assert server.requests[1].headers["If-Range"] == MODIFIED
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("validators", [{"ETag": 'W/"one"'}, {"X-Nothing": "1"}])
def test_unverifiable_part_starts_afresh(
    server: Server, target: Path, validators: dict[str, str]
) -> None:
    server.reset(Answer(cut_after=100_000), validators=validators)
    download(server.url, target)
    assert_whole(target)
    assert "Range" not in server.requests[1].headers


def test_body_shorter_than_promised(server: Server, target: Path) -> None:
    server.reset(Answer(claimed=1000))
    download(server.url, target)
    assert_whole(target)

    server.reset(*(Answer(claimed=1000, ranges=False) for _ in range(9)))
    with pytest.raises(InputError, match="without progress"):
        download(server.url, target.with_name("other.txt"), attempts=3)
    assert not target.with_name("other.txt").exists()


def test_body_longer_than_promised_is_caught_by_the_digest(server: Server, target: Path) -> None:
    server.reset(Answer(claimed=-1000))
    with pytest.raises(InputError, match=f"{sha256(CONTENT[:-1000])}.*{sha256(CONTENT)}"):
        download(server.url, target, sha256=sha256(CONTENT))
    assert_nothing(target)


def test_different_digest_leaves_the_old_file(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(InputError) as caught:
        download(server.url, target, sha256="0" * 64)
    assert sha256(CONTENT) in str(caught.value)
    assert "data.sha256 is " + "0" * 64 in str(caught.value)
    assert_whole(target, b"old")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_transient_answers_are_retried(server: Server, target: Path, status: int) -> None:
    server.reset(Answer(status=status), Answer(cut_after=100_000), Answer(status=status))
    download(server.url, target)
    assert_whole(target)
    assert [request.status for request in server.requests] == [status, 200, status, 206]


@pytest.mark.parametrize(("form", "status"), [("seconds", 429), ("date", 503)])
def test_retry_after_is_honoured(server: Server, target: Path, form: str, status: int) -> None:
    wanted = datetime.now(UTC) + timedelta(seconds=4)
    delay = {"seconds": "1", "date": format_datetime(wanted, usegmt=True)}[form]
    server.reset(Answer(status=status, headers={"Retry-After": delay}))
    download(server.url, target, longest_wait=60)
    assert_whole(target)
    first, second = server.requests
    # A date has whole seconds: its fraction is cut off.
    if form == "date":
        assert datetime.now(UTC) >= wanted - timedelta(seconds=1)
    else:
        assert second.time - first.time > 0.95


@pytest.mark.parametrize(
    "delay", ["86400", "Fri, 01 Jan 2100 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 -0000"]
)
def test_retry_after_is_capped(server: Server, target: Path, delay: str) -> None:
    server.reset(Answer(status=429, headers={"Retry-After": delay}))
    download(server.url, target, longest_wait=0.3)
    first, second = server.requests
    assert 0.3 <= second.time - first.time < 60


@pytest.mark.parametrize("delay", ["soon", "-5", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_useless_retry_after(server: Server, target: Path, delay: str) -> None:
    server.reset(Answer(status=429, headers={"Retry-After": delay}))
    download(server.url, target, longest_wait=1000)
    first, second = server.requests
    assert second.time - first.time < 60


def test_back_off_grows(server: Server, target: Path) -> None:
    server.reset(*(Answer(status=503) for _ in range(4)))
    download(server.url, target, first_wait=0.05, longest_wait=100)
    times = [request.time for request in server.requests]
    waits = [after - before for before, after in pairwise(times)]
    # Doubling from 0.05 s, plus at most as much again as the first wait, plus the request's time.
    for wait, least in zip(waits, (0.05, 0.1, 0.2, 0.4), strict=True):
        assert least <= wait < least + 60


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_permanent_answers_fail_at_once(server: Server, target: Path, status: int) -> None:
    server.reset(Answer(status=status))
    with pytest.raises(InputError) as caught:
        download(server.url, target)
    message = str(caught.value)
    assert f"{server.url} (data.url) answered {status} " in message
    assert "data.path" in message
    assert "\n" not in message
    assert len(server.requests) == 1
    assert_nothing(target)


def test_empty_file(server: Server, target: Path) -> None:
    server.reset(content=b"")
    with pytest.raises(InputError, match="is an empty file"):
        download(server.url, target)
    assert_nothing(target)


def test_bytes_are_stored_as_sent(server: Server, target: Path) -> None:
    packed = gzip.compress(b"ACGT" * 1000)
    server.reset(Answer(headers={"Content-Encoding": "gzip"}), content=packed)
    assert download(server.url, target) == sha256(packed)
    assert target.read_bytes() == packed


def test_redirect(server: Server, target: Path) -> None:
    server.reset(Answer(status=302, headers={"Location": "/elsewhere"}))
    download(server.url, target)
    assert_whole(target)
    assert server.requests[1].target == "/elsewhere"


def test_endless_redirects_fail_at_once(server: Server, target: Path) -> None:
    server.reset(*(Answer(status=302, headers={"Location": "/loop"}) for _ in range(40)))
    with pytest.raises(InputError, match=r"data\.url\) cannot be requested .*30 redirects"):
        download(server.url, target)
    assert_nothing(target)


def test_proxy_of_the_environment(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    download("http://data.invalid/file.txt", target)
    assert_whole(target)
    assert server.requests[0].target == "http://data.invalid/file.txt"


def test_nobody_listens(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(InputError, match="the last of 2 tries") as caught:
        download(f"http://127.0.0.1:{port}/data.txt", target, attempts=2)
    assert "\n" not in str(caught.value)
    assert_nothing(target)


@pytest.mark.parametrize(
    "url", ["", "data.txt", "ftp://host/x", "file:///x", "http://", "http:///x", "http://h:x/"]
)
def test_only_http(target: Path, url: str) -> None:
    with pytest.raises(InputError, match=r"data\.url is .*not an http or https address"):
        download(url, target)
    assert not target.parent.exists()


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 65])
def test_malformed_digest_is_refused_before_any_request(
    server: Server, target: Path, digest: str
) -> None:
    with pytest.raises(InputError, match=r"data\.sha256 is .*64 hexadecimal"):
        download(server.url, target, sha256=digest)
    assert server.requests == []


def test_progress_is_logged_seldom(
    server: Server, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="degu"):
        download(server.url, target, report_every=60)
        assert [r.message for r in caplog.records] == ["data.txt: 100% (0.3 of 0.3 MB)"]
        caplog.clear()
        server.reset(Answer(cut_after=150_000))
        download(server.url, target, report_every=0)
    messages = [record.message for record in caplog.records]
    assert (
        "data.txt:  50% (0.1 of 0.3 MB)" in messages or "data.txt:  50% (0.2 of 0.3 MB)" in messages
    )
    assert any("going on from" in message for message in messages)
    assert messages[-1] == "data.txt: 100% (0.3 of 0.3 MB)"
