"""``degu config``: a config for one's own assay."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--table", type=click.Path(path_type=Path), help="CSV or TSV, gzipped or not.")
@click.option("--output", type=click.Path(path_type=Path), help="File to write; else to stdout.")
@click.option("--dataset", help="Name of the study; by default that of the table.")
@click.option("--sequence-column", help="Column of sequences.")
@click.option("--id-column", help="Column of ids.")
@click.option("--split-column", help="Column that says train, val or test.")
@click.option("--group-column", help="Column of what a random split must not tear apart.")
@click.option("--target", "targets", multiple=True, help="An activity; several allowed.")
@click.option("--units", help="Units of the activities.")
@click.option("--model", help="Architecture.  [default: deepstarr]")
@click.option("--ensemble-size", type=click.IntRange(2), help="Teachers.  [default: 10]")
@click.option("--students", type=click.IntRange(1), help="Students.  [default: 10]")
@click.option("--yes", is_flag=True, help="Ask nothing, take what is guessed.")
def config(table: Path | None, output: Path | None, yes: bool, **given: Any) -> None:
    """Write a commented config for a table of sequences and activities.

    Columns are guessed from their names and from the first rows. On a terminal each guess that no
    flag answers is asked about; elsewhere it is taken.
    """
    from degu.errors import InputError
    from degu.ingest import preflight
    from degu.io.files import atomic_path
    from degu.study.config import validate
    from degu.study.config.guess import guess_columns, write_config

    ask = _is_terminal() and not yes
    if table is None:
        if not ask:
            raise click.UsageError("Name the table: --table my_assay.tsv")
        table = Path(click.prompt("Table of sequences and activities", err=True))
    if output is not None and output.exists():
        raise InputError(f"{output} exists; name another file or delete it.")
    guess = guess_columns(table)
    answers = _Answers(given, ask)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", table.name.split(".")[0]).lstrip(".-") or "my_assay"
    columns = {
        "dataset": answers.text("dataset", "Name of the study", name),
        "path": str(table),
        "sequence": answers.text("sequence_column", "Column of sequences", guess.sequence),
        "id": answers.text("id_column", "Column of ids (- for none)", guess.id),
        "split": answers.text(
            "split_column",
            "Column of train, val, test (- for a random split)",
            None if given["group_column"] else guess.split,
        ),
        "units": answers.text("units", "Units of the activities", "log2 enrichment"),
    }
    columns["group"] = None
    if columns["split"] is None:
        columns["group"] = answers.text(
            "group_column", "Column of what belongs together (- for none)", guess.group
        )
    targets = list(given["targets"]) or answers.listed("Activities", guess.targets)
    for what, found in (("column of sequences", columns["sequence"]), ("activities", targets)):
        if not found:
            raise InputError(
                f"{table} has no {what} that can be guessed; name it with "
                f"{'--target' if what == 'activities' else '--sequence-column'}."
            )
    text = write_config(
        {
            **columns,
            "targets": targets,
            "replicates": {t: guess.replicates[t] for t in targets if t in guess.replicates},
            "model": answers.text("model", "Architecture", "deepstarr"),
            "ensemble_size": answers.number("ensemble_size", "Teachers", 10),
            "students": answers.number("students", "Students", 10),
        }
    )
    import yaml

    meant = validate(yaml.safe_load(text))
    preflight(meant["data"], meant["targets"])
    if output is None:
        click.echo(text, nl=False)
    else:
        with atomic_path(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    unused = [name for name in guess.left_out if name not in targets]
    if unused:
        click.echo(f"Not taken for activities: {', '.join(unused)} (--target takes one).", err=True)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


class _Answers:
    """Answers to questions: of a flag, of a person on a terminal, or the guess."""

    def __init__(self, given: dict[str, Any], ask: bool) -> None:
        self._given, self._ask = given, ask

    def text(self, flag: str, question: str, guess: str | None) -> str | None:
        answer = self._given[flag]
        if answer is None and self._ask:
            answer = click.prompt(question, default=guess or "-", err=True)
        answer = guess if answer is None else answer
        return None if answer in ("-", "") else answer

    def listed(self, question: str, guess: list[str]) -> list[str]:
        if not self._ask:
            return guess
        answer = click.prompt(f"{question}, comma between", default=", ".join(guess), err=True)
        return [name.strip() for name in answer.split(",") if name.strip()]

    def number(self, flag: str, question: str, default: int) -> int:
        if self._given[flag] is not None or not self._ask:
            return self._given[flag] or default
        return click.prompt(question, default=default, type=int, err=True)
