"""Messages about runs, posted to a real HTTP server on this machine that may behave badly."""

import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import run_python

from degu.ops import notify
from degu.ops.events import Job, Run
from degu.ops.notify import VARIABLE, notify_slack, redacted, report_run, run_message

SECRET = "/services/T0FAKE/B0FAKE/qN7notARealOne"


class Webhook(BaseHTTPRequestHandler):
    """Records what is posted, and answers as the server's ``behaviour`` says."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers, json.loads(body)))
        self.server.behaviour(self)

    def do_GET(self):
        self.answer(200, "<html>Please log in</html>")

    def answer(self, status=200, body="ok", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def webhook(monkeypatch):
    """A server whose address is in the environment; ``received`` is what was posted to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    server.daemon_threads, server.received = True, []
    server.behaviour = lambda request: request.answer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.address = f"http://127.0.0.1:{server.server_port}{SECRET}"
    monkeypatch.setenv(VARIABLE, server.address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def warning(capfd):
    """The only line that was written; no part of the address is in it."""
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("warning: Slack was not told: ")
    assert "FAKE" not in err
    assert "qN7" not in err
    assert "127.0.0.1" not in err
    return err


def failed(rule, log, **wildcards):
    return Job(rule, wildcards, (str(log),), state="failed")


def run_of(done, total, jobs=(), seconds=None, **values):
    """A run with so many jobs done, and those jobs besides."""
    jobs = (Job("ingest", state="done"),) * done + tuple(jobs)
    last = None if seconds is None else 1000 + seconds
    return Run(jobs, total, began=1000, last=last, **values)


def failed_run(folder, lines):
    log = folder / "job.log"
    log.write_text("\n".join(lines) + "\n")
    return run_of(5, 9, [failed("train_teacher", log, augmentation="standard", ix="3")])


def test_message_of_a_success():
    text = run_message("my_assay", True, run_of(40, 40, seconds=7983))
    assert text == ":white_check_mark: *my_assay* has finished after 2 h 13 min: 40 of 40 jobs done"


def test_message_of_a_run_that_was_stopped():
    text = run_message("my_assay", False, run_of(3, 40, seconds=61, stopped=True))
    assert text == ":x: *my_assay* was stopped after 1 min 1 s: 3 of 40 jobs done"


def test_message_of_a_failure_shows_the_tail_of_the_log(tmp_path):
    lines = [f"epoch {i}" for i in range(1, 30)] + ["\x1b[31merror: val_loss is nan.\x1b[0m"]
    title, job, *block = run_message("my_assay", False, failed_run(tmp_path, lines)).split("\n")
    assert title == ":x: *my_assay* has failed: 5 of 9 jobs done, 1 failed"
    assert job.startswith("*train_teacher* (augmentation=standard, ix=3), log ")
    assert block == ["```", *lines[-15:-1], "error: val_loss is nan.", "```"]


def test_text_of_a_log_stays_within_its_block(tmp_path):
    text = run_message("a", False, failed_run(tmp_path, ["```", "<!channel> & `x` ````", "last"]))
    block = text.split("```")
    assert len(block) == 3
    assert block[1] == "\n'''\n&lt;!channel&gt; &amp; 'x' ''''\nlast\n"


def test_length_is_limited(tmp_path):
    log = tmp_path / "long.log"
    log.write_text(("<&" * 5000 + "\n") * 40 + "x" * 300 + "\nerror: the end.\n")
    jobs = [failed("rule", log, ix=f"{i}" * 300) for i in range(20)]
    text = run_message("a", False, run_of(0, 20, jobs, 1))
    assert len(text) < 4000
    assert text.count("error: the end.") == 3
    assert text.endswith("and 17 more (rule)")


def test_jobs_whose_log_says_why_come_first(tmp_path):
    logs = {}
    for name, text in {"lost": "", "guilty": "error: no room.\n"}.items():
        logs[name] = tmp_path / name
        logs[name].write_text(text)
    jobs = [failed(name, path) for name, path in logs.items()]
    text = run_message("a", False, run_of(0, 2, jobs))
    assert text.index("*guilty*") < text.index("*lost*")


def test_secrets_are_removed(tmp_path, monkeypatch):
    address = f"https://hooks.slack.com{SECRET}"
    monkeypatch.setenv(VARIABLE, address)
    monkeypatch.setenv("MY_API_TOKEN", "hunter2hunter2")
    lines = [
        f"posting to {address}",
        f"POST {SECRET} HTTP/1.1",
        "x" * 150 + address,  # its end would be cut off
        "https://hooks.slack.com/services/of/someone/else",
        "token hunter2hunter2, xoxb-123-abc",
        "http://me:mypassword@proxy:8080",
    ]
    text = run_message("a", False, failed_run(tmp_path, lines))
    for secret in ("FAKE", "qN7", "someone", "hunter2", "xoxb", "mypassword", "hooks.slack"):
        assert secret not in text
    assert "http://…proxy:8080" in text
    monkeypatch.delenv(VARIABLE)
    assert redacted("error: /services is no folder.") == "error: /services is no folder."


def test_children_do_not_see_a_hidden_address(webhook, monkeypatch, tmp_path):
    monkeypatch.setattr(notify, "_hidden", "")
    notify.hide_address()
    notify.hide_address()
    assert run_python(f"import os; print({VARIABLE!r} in os.environ)", cwd=tmp_path).stdout == (
        "False\n"
    )
    assert redacted(f"at {webhook.address}") == "at …"
    notify_slack("text")
    assert len(webhook.received) == 1


def test_posted_to_the_webhook(webhook, capfd):
    notify_slack("*done*")
    ((path, headers, body),) = webhook.received
    assert path == SECRET
    assert headers["Content-Type"].startswith("application/json")
    assert body == {"text": "*done*", "unfurl_links": False, "unfurl_media": False}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_nothing_happens_without_an_address(value, monkeypatch, capfd):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    monkeypatch.setattr(notify, "_post", None)
    assert report_run("a", succeeded=True, log="no.log") == Run()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "body", "attempts", "said"),
    [
        (404, "no_service", 1, "the answer was 404 (no_service)."),
        (403, f"http://127.0.0.1{SECRET}", 1, "the answer was 403."),
        (429, "rate_limited", 1, "the answer was 429 (rate_limited)."),
        (500, "", 2, "the answer was 500."),
        (200, "<html>", 1, "what answered is not Slack, or was cut off."),
    ],
)
def test_answers_that_are_none_of_slack(status, body, attempts, said, webhook, capfd):
    webhook.behaviour = lambda request: request.answer(status, body)
    notify_slack("text")
    assert warning(capfd).endswith(f"{said}\n")
    assert len(webhook.received) == attempts


def test_a_redirect_is_no_delivery(webhook, capfd):
    webhook.behaviour = lambda request: request.answer(302, "", Location="/login")
    notify_slack("text")
    assert warning(capfd).endswith("what answered is not Slack, or was cut off.\n")


def test_a_lost_connection_is_tried_once_more(webhook, capfd):
    def hang_up(request):
        if len(webhook.received) > 1:
            request.answer()
        else:
            request.connection.shutdown(socket.SHUT_RDWR)

    webhook.behaviour = hang_up
    notify_slack("text")
    assert len(webhook.received) == 2
    assert capfd.readouterr() == ("", "")


def test_connections_lost_every_time(webhook, capfd):
    webhook.behaviour = lambda request: request.connection.shutdown(socket.SHUT_RDWR)
    notify_slack("text")
    assert len(webhook.received) == 2
    assert "no connection" in warning(capfd)


def test_a_connection_cut_in_the_middle_of_the_answer(webhook, capfd):
    def cut(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")

    webhook.behaviour = cut
    notify_slack("text")
    assert "no connection (IncompleteRead)" in warning(capfd)


def test_what_is_no_http(webhook, capfd):
    webhook.behaviour = lambda request: request.wfile.write(b"\x00\xff" * 40 + b"\r\n")
    notify_slack("text")
    assert "no connection (BadStatusLine)" in warning(capfd)


def test_a_slow_server(webhook, capfd, monkeypatch):
    monkeypatch.setattr(notify, "TIMEOUT", 0.2)
    over = threading.Event()
    webhook.behaviour = lambda request: over.wait(60)
    notify_slack("text")
    over.set()
    assert "no answer within 0.2 seconds" in warning(capfd)


def test_a_trickling_server(webhook, capfd, monkeypatch):
    """Each byte comes in time, and all of them never do."""
    monkeypatch.setattr(notify, "DEADLINE", 0.5)
    over = threading.Event()

    def trickle(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.wait(0.05):
            request.wfile.write(b".")

    webhook.behaviour = trickle
    start = time.monotonic()
    notify_slack("text")
    assert time.monotonic() - start < 60
    over.set()
    assert "no answer within 0.5 seconds" in warning(capfd)


def test_nobody_listens(monkeypatch, capfd):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{port}{SECRET}")
    notify_slack("text")
    assert "no connection (Connection refused)" in warning(capfd)


def test_no_certificate(webhook, monkeypatch, capfd):
    monkeypatch.setenv(VARIABLE, webhook.address.replace("http:", "https:"))
    notify_slack("text")
    assert "no safe connection" in warning(capfd)
    assert not webhook.received


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://hooks.slack.com{}", "must begin with https://"),
        ("http://10.0.0.1{}", "must begin with https://"),
        ("http://localhost.example.org{}", "must begin with https://"),
        ("hooks.slack.com{}", "is not the https address of a webhook"),
        ("file://localhost{}", "is not the https address of a webhook"),
        ("https://{}", "is not the https address of a webhook"),
        ("https://host:port{}", "is not the https address of a webhook"),
        ("https://[::1{}", "is not the https address of a webhook"),
        ("https://a b{}", "is not the https address of a webhook"),
        ("https://me:word@host{}", "is not the https address of a webhook"),
        ("https://host{}\r\nX-Evil: 1", "is not the https address of a webhook"),
    ],
)
def test_malformed_addresses(address, said, monkeypatch, capfd):
    monkeypatch.setenv(VARIABLE, address.format(SECRET))
    monkeypatch.setattr(notify, "_post", None)
    notify_slack("text")
    assert said in warning(capfd)


def test_no_library_logs_the_address(webhook, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    for behaviour in (
        lambda request: request.answer(),
        lambda request: request.answer(500, ""),
        lambda request: request.connection.shutdown(socket.SHUT_RDWR),
    ):
        webhook.behaviour = behaviour
        notify_slack("text")
    out, err = capfd.readouterr()
    assert len(webhook.received) == 5
    for written in (out, err, caplog.text):
        assert "FAKE" not in written
        assert "qN7" not in written


def test_a_fault_of_this_module_is_a_line(webhook, monkeypatch, capfd):
    def broken(*arguments):
        raise RuntimeError(webhook.address)

    monkeypatch.setattr(notify, "run_message", broken)
    report_run("a", succeeded=True, log=[])
    assert warning(capfd).endswith("RuntimeError.\n")


SNAKEFILE = """
from snakemake.logging import logger
from degu.ops import events, notify

events.record_events(logger, "my_assay")

rule all:
    input: "a.txt"

rule fail:
    output: "{name}.txt"
    log: "logs/{name}.log"
    shell: "echo error: $SLACK_WEBHOOK_URL is of no use. > {log}; exit 1"

onerror:
    summary = notify.report_run("my_assay", succeeded=False, log=log)
    print(*events.failure_lines(summary.failed), sep="\\n")
"""


def test_a_failed_run_of_snakemake(webhook, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    code = "import sys; from snakemake.cli import main; main(sys.argv[1:])"
    ended = run_python(code, "--cores", 1, cwd=tmp_path)
    assert ended.returncode == 1
    assert "fail (name=a): error: " in ended.stdout
    ((_, _, body),) = webhook.received
    assert body["text"].startswith(":x: *my_assay* has failed after ")
    assert "*fail* (name=a), log logs/a.log\n```\nerror: … is of no use.\n```" in body["text"]
    # The job itself wrote the address to its log; nothing else holds it.
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    holders = [path for path in files if SECRET.encode() in path.read_bytes()]
    assert holders == [tmp_path / "logs/a.log"]
