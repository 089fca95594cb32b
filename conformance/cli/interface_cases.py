"""The command about cases of other projects' tests. Options only; the work is imported when it runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.shared_options import output_options, rule_options


@click.command()
@click.argument("source", metavar="NAME[@ENVIRONMENT]")
@click.option("--list", "listed", is_flag=True, help="Print the name and the id of each, and judge nothing.")
@output_options()
@rule_options()
def cases(source: str, **options: Any) -> int:
    """Judge the answers that the cases of another project's tests come with. NAME is onnx or opinfo.

    It says how many calls the cases are, and which are none, and why. ENVIRONMENT is the interpreter that has the
    project, where it is another one. lossproof run TARGET --cases NAME judges a target by the same calls.
    """
    from lossproof.cli.commands.cases import cases_command

    return cases_command(source, **options)


CASE_COMMANDS = (cases,)
