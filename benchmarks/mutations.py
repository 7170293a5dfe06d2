"""One-line faults in the package and the workflow: whether the tests notice each of them.

`mutations.yaml` lists the faults. Each says what would go wrong for a user, the text of a line
(`find`), what stands in its place (`replace`) and the tests that are to fail by it. `file` is where
the line lies: it counts as long as the line is there, and where code has moved, the text must be
found exactly once in `src`, `rules`, `workflow` and the Snakefile.

Everything happens in temporary copies of the checkout, one for each job. First the named tests run
without a fault and have to pass; then, for each fault, those that it names. The exit code is 1 if a
fault survives, if its line is not found, or if tests fail without any.

    python benchmarks/mutations.py                       # all of them
    python benchmarks/mutations.py std-ddof heads-order  # some, by id
    python benchmarks/mutations.py --jobs 2 --json mutations.json
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
SEARCHED = ("src", "rules", "workflow", "Snakefile")
SUFFIXES = {".py", ".smk", ".yaml", ".yml", ""}
# What tests do not read, or a copy must not share.
LEFT_OUT = (".git", ".venv", ".snakemake", "results", "resources", "__pycache__", ".*_cache")


@dataclass(frozen=True)
class Mutation:
    """A fault of one line.

    Attributes:
        id: name for the command line.
        what: what would go wrong for a user.
        file: where the line lies, as far as it has not moved.
        find, replace: a part of the line that occurs once, and what stands in its place.
        tests: files or node ids of pytest, some of which fail by it.
    """

    id: str
    what: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]

    def place(self, checkout: Path) -> Path:
        """The one file of a checkout that holds the line; ValueError if there is not one."""
        if "\n" in self.find or self.find == self.replace:
            raise ValueError("find and replace must be two versions of one line")
        hinted = checkout / self.file
        if hinted.is_file() and hinted.read_text().count(self.find) == 1:
            return hinted
        found = [path for path in sources(checkout) for _ in range(count(path, self.find))]
        if len(found) != 1:
            names = ", ".join(str(path.relative_to(checkout)) for path in dict.fromkeys(found))
            raise ValueError(f"its line occurs {len(found)} times ({names or 'nowhere'})")
        return found[0]


@dataclass(frozen=True)
class Outcome:
    """What became of a mutation: ``killed``, ``survived`` or ``error``, by which test, and when."""

    id: str
    state: str
    by: str
    seconds: float


def sources(checkout: Path) -> Iterator[Path]:
    """Files that mutations may lie in."""
    for name in SEARCHED:
        top = checkout / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix in SUFFIXES:
                yield path


def count(path: Path, text: str) -> int:
    """How often a file holds a text; 0 if it is not text itself."""
    with suppress(UnicodeDecodeError):
        return path.read_text().count(text)
    return 0


def read_mutations(path: Path, ids: list[str]) -> list[Mutation]:
    """The mutations of a file, or those that are named."""
    rows = yaml.safe_load(path.read_text())
    mutations = [Mutation(**{**row, "tests": tuple(row["tests"])}) for row in rows]
    known = [mutation.id for mutation in mutations]
    twice = sorted({name for name in known if known.count(name) > 1})
    unknown = [name for name in ids if name not in known]
    if twice or unknown:
        sys.exit(f"{path}: no such mutation: {unknown}" if unknown else f"{path}: twice: {twice}")
    return [mutation for mutation in mutations if not ids or mutation.id in ids]


def copy_of(checkout: Path, folder: Path) -> Path:
    """A copy of a checkout in a folder of its own; what lies beside it is there too."""
    copy = folder / "checkout"
    shutil.copytree(checkout, copy, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    if (checkout.parent / "shared").is_dir():
        (folder / "shared").symlink_to((checkout.parent / "shared").resolve())
    return copy


@contextmanager
def mutated(checkout: Path, mutation: Mutation) -> Iterator[None]:
    """The fault, as long as this lasts."""
    path = mutation.place(checkout)
    text = path.read_text()
    path.write_text(text.replace(mutation.find, mutation.replace))
    try:
        yield
    finally:
        path.write_text(text)


def run_tests(
    checkout: Path, tests: list[str], arguments: list[str], timeout: float
) -> tuple[int | None, str]:
    """Exit code of pytest (None: it took too long), and its output; ends at the first failure."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    paths = [str(checkout / "src"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        # Two versions of a file within a second have one time, by which Python knows its bytecode.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        [*command, *arguments, *tests],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]
    return process.returncode, output


def failed_test(output: str) -> str:
    """The first test that failed, by pytest's summary."""
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
    return found[1] if found else ""


def try_out(checkout: Path, mutation: Mutation, arguments: list[str], timeout: float) -> Outcome:
    """Whether the tests of a mutation notice it."""
    started = time.monotonic()
    try:
        with mutated(checkout, mutation):
            code, output = run_tests(checkout, list(mutation.tests), arguments, timeout)
    except ValueError as error:
        return Outcome(mutation.id, "error", str(error), 0.0)
    seconds = time.monotonic() - started
    if code is None:
        return Outcome(mutation.id, "killed", f"no end within {timeout:.0f} s", seconds)
    if code == 0:
        return Outcome(mutation.id, "survived", "", seconds)
    if code != 1:  # a test that is not there, or a file that cannot be imported
        last = output.strip().splitlines()[-1:]
        return Outcome(mutation.id, "error", f"pytest ended with {code}: {' '.join(last)}", seconds)
    return Outcome(mutation.id, "killed", failed_test(output), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="ID", help="mutations to try; all without")
    parser.add_argument("--list", type=Path, default=HERE / "mutations.yaml")
    parser.add_argument("--checkout", type=Path, default=HERE.parent, help="only read")
    parser.add_argument("--jobs", type=int, default=1, help="mutations at once")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each")
    parser.add_argument("--pytest", default="", help="more arguments for pytest, as one text")
    parser.add_argument("--find", action="store_true", help="only find the lines; run no test")
    parser.add_argument(
        "--no-first-run", action="store_true", help="take it that tests pass without a fault"
    )
    parser.add_argument("--json", type=Path, help="write all outcomes to this file")
    args = parser.parse_args()
    checkout = args.checkout.resolve()
    mutations = read_mutations(args.list, args.ids)
    width = max(len(mutation.id) for mutation in mutations)
    if args.find:
        lost = 0
        for mutation in mutations:
            try:
                where = str(mutation.place(checkout).relative_to(checkout))
            except ValueError as error:
                where, lost = str(error), lost + 1
            print(f"{mutation.id:{width}}  {where}")
        sys.exit(1 if lost else 0)
    arguments = shlex.split(args.pytest)
    with tempfile.TemporaryDirectory(prefix="degu-mutations-") as folder:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for i in range(args.jobs):
            copies.put(copy_of(checkout, Path(folder) / str(i)))
        if not args.no_first_run:
            tests = list(dict.fromkeys(test for m in mutations for test in m.tests))
            copy = copies.get()
            code, output = run_tests(copy, tests, arguments, args.timeout)
            copies.put(copy)
            if code != 0:
                sys.exit(f"{output}\nerror: tests fail without any fault, as said above.")

        def job(mutation: Mutation) -> Outcome:
            copy = copies.get()
            try:
                return try_out(copy, mutation, arguments, args.timeout)
            finally:
                copies.put(copy)

        outcomes = []
        with ThreadPoolExecutor(args.jobs) as pool:
            for future in as_completed([pool.submit(job, mutation) for mutation in mutations]):
                outcome = future.result()
                outcomes.append(outcome)
                print(
                    f"{outcome.id:{width}}  {outcome.state:8}  {outcome.seconds:6.1f} s  "
                    f"{outcome.by}",
                    flush=True,
                )
    killed = sum(outcome.state == "killed" for outcome in outcomes)
    print(f"{killed} of {len(outcomes)} mutations are killed.")
    if args.json:
        args.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    sys.exit(0 if killed == len(outcomes) else 1)


if __name__ == "__main__":
    main()
