"""The command ``degu`` and its subcommands."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from degu import __version__
from degu.errors import InputError

COMMANDS = {
    "predict": "activity, uncertainty and intervals of sequences",
    "variants": "effects of variants, with uncertainty",
    "attribute": "attribution maps and logos",
    "scan": "effect of every single mutation",
    "inspect": "what a file of degu holds",
    "export": "what one publishes of an arm",
    "simulate": "an example data set",
    "config": "a config for one's own assay",
}
"""Subcommands, and a line about each. Each is ``degu.commands.NAME:NAME``, a click command."""


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(import_module(f"degu.commands.{name}"), name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would end with 1
            # Whoever reads has enough: what is still buffered goes nowhere, without a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="degu")
def degu() -> None:
    """Predictions with honest error bars from distilled ensembles of genomic models."""


def main(arguments: list[str] | None = None) -> Any:
    """Entry point; exit code 1 for what is wrong with an input, 2 for usage, 0 otherwise."""
    try:
        code = degu.main(args=arguments, prog_name="degu", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InputError as error:
        click.echo(f"degu: {error}", err=True)
        sys.exit(1)
    # Without its standalone mode, click returns the code of `ctx.exit`, and None of a command.
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
