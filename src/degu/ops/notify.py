"""A message to Slack when a run has ended.

The address of the incoming webhook is a secret: whoever has it can post. It comes from the
environment alone, and nothing that is written or raised here holds it.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import queue
import re
import ssl
import sys
import threading
from collections.abc import Sequence
from urllib.error import URLError
from urllib.parse import urlsplit

from degu.ops.events import FULL_LOG, Job, Run, duration, events_file, read_run
from degu.ops.joblog import last_sentence, log_tail

VARIABLE = "SLACK_WEBHOOK_URL"


_hidden = ""


#: Seconds: of a step of one attempt (there are at most two), and of all together.
TIMEOUT, DEADLINE = 5, 10


#: Of a message, well below the 4,000 characters that Slack advises.
SHOWN_JOBS, TAIL_LINES, TAIL_CHARACTERS, LINE_CHARACTERS = 3, 15, 800, 160


_SECRETS = re.compile(
    r"https?://hooks\.slack(?:-gov)?\.com/\S*"
    r"|\bxox[a-z]-[\w-]+"
    r"|(?<=://)[^/\s@]+@"  # user:password@
)


_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)


_SLACK_CODE = re.compile(r"[a-z_]{1,40}")


def hide_address() -> None:
    """Take the address out of the environment, so that no job or other child process sees it.

    This process still knows it. For the Snakefile, before any job starts.
    """
    global _hidden
    _hidden = os.environ.pop(VARIABLE, "") or _hidden


def _address() -> str:
    return (os.environ.get(VARIABLE) or _hidden).strip()


def report_run(study: str, *, succeeded: bool, log: str | Sequence[str] = ()) -> Run:
    """Tell Slack how a run of Snakemake has ended, if ``SLACK_WEBHOOK_URL`` is set.

    For the Snakefile's ``onsuccess`` and ``onerror``. Never raises, and takes at most
    :data:`DEADLINE` seconds: a message that cannot be sent is a line on stderr.

    Args:
        study: the config's ``dataset``.
        succeeded: whether all jobs did.
        log: Snakemake's ``log`` of the handler: the path of the run's log, or a list with it.

    Returns:
        What the events beside the run's log say.
    """
    logs = [log] if isinstance(log, str) else list(log)
    full = next((path for path in logs if path.endswith(FULL_LOG)), None)
    run = read_run(events_file(full), over=True) if full else Run()
    try:
        notify_slack(run_message(study, succeeded, run))
    except Exception as error:  # the run's outcome must not depend on a message about it
        _warn(type(error).__name__)
    return run


def run_message(study: str, succeeded: bool, run: Run) -> str:
    """The message about a run, in Slack's mark-up, without anything secret.

    The first failed jobs come with the tail of their logs, those first whose log says what went
    wrong: a group's other jobs fail with it.
    """
    head = f"{':white_check_mark:' if succeeded else ':x:'} *{_escape(study)}* "
    head += "has finished" if succeeded else "was stopped" if run.stopped else "has failed"
    if run.seconds is not None:
        head += f" after {duration(run.seconds)}"
    counts = []
    if run.total is not None:
        counts.append(f"{run.done:,} of {run.total:,} jobs done")
    if run.failed:
        counts.append(f"{len(run.failed):,} failed")
    parts = [": ".join(filter(None, (head, ", ".join(counts))))]
    failed = sorted(run.failed, key=lambda job: not (job.log and last_sentence(job.log)))
    parts += [_about(job) for job in failed[:SHOWN_JOBS]]
    if len(failed) > SHOWN_JOBS:
        rules = sorted({job.rule for job in failed[SHOWN_JOBS:]})
        more = f"and {len(failed) - SHOWN_JOBS:,} more ({', '.join(rules)})"
        parts.append(_escape(_shortened(more)))
    return "\n".join(parts)


def _about(job: Job) -> str:
    title = f"*{_escape(job.rule)}*"
    if job.wildcards:
        title += f" ({_escape(_shortened(redacted(job.identity)))})"
    if job.log is None:
        return title
    title += f", log {_escape(_shortened(redacted(job.log)))}"
    tail: list[str] = []
    # What is secret goes before lines are cut, or a part of it would stay.
    for line in reversed(redacted("\n".join(log_tail(job.log, TAIL_LINES))).split("\n")):
        # A backtick could end the block of code.
        safe = _escape(_shortened(line)).replace("`", "'")
        if sum(map(len, tail)) + len(safe) > TAIL_CHARACTERS:
            break
        tail.insert(0, safe)
    return f"{title}\n```\n" + "\n".join(tail) + "\n```" if any(tail) else f"{title} (empty)"


def _shortened(text: str) -> str:
    return text if len(text) <= LINE_CHARACTERS else f"{text[: LINE_CHARACTERS - 1]}…"


def _escape(text: str) -> str:
    """The three characters that Slack's mark-up gives a meaning to."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def redacted(text: str) -> str:
    """Text without addresses of webhooks, names and passwords in addresses, and secret variables.

    Those are environment variables whose name says so (``..._TOKEN``, ``..._PASSWORD``).
    """
    address = _address()
    secrets = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    # Libraries name the path alone, too, and its last part is what makes it secret.
    secrets += [address, re.sub(r"^\w+://[^/]*", "", address), address.rpartition("/")[2]]
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret.strip()) >= 8:
            text = text.replace(secret.strip(), "…")
    return _SECRETS.sub("…", text)


def notify_slack(text: str) -> None:
    """Post a message to the webhook of ``SLACK_WEBHOOK_URL``; without it nothing happens.

    https is required, but for this machine itself. Proxies are those of the environment. A
    connection that fails, or an overloaded server, is tried a second time. What goes wrong is one
    line on stderr, without the address.

    Args:
        text: in Slack's mark-up.
    """
    address = _address()
    if not address:
        return
    problem = _problem(address)
    if problem is None:
        answer: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # A thread, because neither the lookup of a name nor a trickle of bytes has a time limit.
        threading.Thread(
            target=lambda: answer.put(_post(address, text)), name="slack", daemon=True
        ).start()
        try:
            problem = answer.get(timeout=DEADLINE)
        except queue.Empty:
            problem = f"no answer within {DEADLINE} seconds"
    if problem is not None:
        _warn(problem)


def _warn(problem: str) -> None:
    print(f"warning: Slack was not told: {redacted(problem)}.", file=sys.stderr, flush=True)


def _problem(address: str) -> str | None:
    """What is wrong with an address."""
    malformed = f"{VARIABLE} is not the https address of a webhook"
    if not re.fullmatch(r"[!-~]+", address):  # a space or a line break within
        return malformed
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return malformed
    if not host or parts.username is not None or parts.scheme not in ("http", "https"):
        return malformed
    if parts.scheme == "http" and not _is_loopback(host):
        return f"{VARIABLE} must begin with https://"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _post(address: str, text: str) -> str | None:
    """Post a message; returns what went wrong."""
    try:
        from slack_sdk.http_retry.builtin_handlers import (
            ConnectionErrorRetryHandler,
            ServerErrorRetryHandler,
        )
        from slack_sdk.webhook import WebhookClient

        # The client's own log names the address.
        silent = logging.Logger("slack", logging.CRITICAL + 1)
        silent.disabled = True
        # They share one count of attempts.
        retries = [ConnectionErrorRetryHandler(1), ServerErrorRetryHandler(1)]
        client = WebhookClient(address, timeout=TIMEOUT, logger=silent, retry_handlers=retries)
        # The client knows no NO_PROXY; urllib itself goes by all of the environment.
        client.proxy = None
        response = client.send(text=text, unfurl_links=False, unfurl_media=False)
    except Exception as error:
        return _reason(error)
    body = response.body.strip()
    if response.status_code == 200:
        # Whoever else answers, such as the page that a proxy redirects to, does not say so.
        return None if body == "ok" else "what answered is not Slack, or was cut off"
    code = f" ({body})" if _SLACK_CODE.fullmatch(body) else ""
    return f"the answer was {response.status_code}{code}"


def _reason(error: BaseException) -> str:
    """What went wrong, in words that cannot hold an address: those of the system, or a name."""
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT} seconds"
    if isinstance(error, ssl.SSLError):
        return f"no safe connection ({error.reason or type(error).__name__})"
    if isinstance(error, ImportError):
        return "the package slack_sdk is not installed"
    if isinstance(error, OSError) and error.strerror:
        return f"no connection ({error.strerror})"
    return f"no connection ({type(error).__name__})"
