"""How long a run will still take, by the jobs that it has finished."""

from __future__ import annotations

from collections.abc import Mapping


class TimeLeft:
    """An estimate from how long the jobs of each rule have taken.

    A rule of which no job is done yet takes the mean of all jobs that are. As many jobs run at once
    as have so far, on average.

    Args:
        rules: how many jobs of each the run has.
        now: seconds since 1970 at its start.
    """

    def __init__(self, rules: Mapping[str, int], now: float) -> None:
        self._to_do = dict(rules)
        self._start = now
        self._took: dict[str, list[float]] = {}
        self._running: dict[int, tuple[str, float]] = {}
        self._busy = 0.0

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._running)

    def begin(self, job: int, rule: str, now: float) -> None:
        """A job has started."""
        self._running[job] = (rule, now)

    def end(self, job: int, now: float, took: float | None = None) -> None:
        """A job has ended: after ``took`` seconds, or badly (None)."""
        if job not in self._running:
            return
        rule, began = self._running.pop(job)
        self._busy += now - began
        if took is not None:
            self._took.setdefault(rule, []).append(took)
            self._to_do[rule] = self._to_do.get(rule, 1) - 1

    def seconds(self, now: float) -> float | None:
        """Until the run ends; None while no job is done."""
        everything = [seconds for times in self._took.values() for seconds in times]
        if not everything:
            return None
        means = {rule: sum(times) / len(times) for rule, times in self._took.items()}
        mean = sum(everything) / len(everything)
        work = sum(max(n, 0) * means.get(rule, mean) for rule, n in self._to_do.items())
        busy = self._busy
        for rule, began in self._running.values():
            work -= min(now - began, means.get(rule, mean))
            busy += now - began
        at_once = busy / (now - self._start) if now > self._start else 1.0
        return max(work, 0.0) / max(at_once, 1.0)
