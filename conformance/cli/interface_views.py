"""The commands that show one case, a whole record or this installation: explain, repro, report, doctor. Options only;
the work is imported when a command runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.shared_options import case_options


@click.command()
@click.argument("id", required=False, metavar="ID")
@click.option(
    "--target",
    metavar="TARGET",
    help="Also the answer and verdict of this target, or of file.py:FUNCTION, and a script for it.",
)
@case_options()
@click.option("--full", is_flag=True, help="All entries of large arrays.")
def explain(id: str | None, target: str | None, **options: Any) -> int:
    """Say everything about one case: inputs, exact result, bounds, a target's answer, a script without lossproof.

    ID may be shortened to its last part.
    """
    from lossproof.cli.commands.explain import explain_command

    return explain_command(id, target=target, **options)


@click.command()
@click.argument("id", required=False, metavar="ID")
@click.option("--target", metavar="TARGET", help="The target; by default the first that shows a defect.")
@click.option("--output", default="", metavar="NAME", help="The output, such as vjp; by default the first wrong one.")
@case_options()
@click.option("--simplify", is_flag=True, help="Look for simpler inputs that show the same.")
@click.option("--issue", "as_issue", is_flag=True, help="A bug report in Markdown around the program.")
@click.option("--file", "-o", metavar="FILE", help="Write it to FILE instead of printing it.")
def repro(id: str | None, **options: Any) -> int:
    """Write a short program that shows one case with the framework alone.

    It prints what it observed, the exact result and the version, and exits with 1 if the defect shows, 0 if not. ID may
    be shortened to its last part.
    """
    from lossproof.cli.commands.repro import repro_command

    return repro_command(id, **options)


@click.command()
@click.argument("records", nargs=-1, required=True, metavar="RECORD [RECORD]")
@click.option("--output", "-o", required=True, metavar="FILE", help="The page to be written.")
@click.option(
    "--targets", "pairs", multiple=True, metavar="A=B", help="Of two records: the targets to compare (repeatable)."
)
@click.option(
    "--waivers", multiple=True, metavar="FILE", help="Known deviations, on top of the shipped ones (repeatable)."
)
@click.option(
    "--programs/--no-programs",
    default=True,
    show_default=True,
    help="Start the targets of failures to write reproducers.",
)
def report(records: tuple[str, ...], **options: Any) -> int:
    """Write a RECORD as one HTML page that needs no network; of two records, what changed from the first to the second.

    Takes the extra report: pip install 'lossproof[report]'.
    """
    from lossproof.cli.commands.report import report_command

    return report_command(records, **options)


@click.command()
@click.option("--start/--no-start", default=True, show_default=True, help="Start every target whose packages are here.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def doctor(start: bool, as_json: bool) -> int:
    """Print what results depend on here, and what is wrong with it: versions, devices, flags, threads, caches.

    Its output belongs into a bug report. The exit code is 1 where something is in the way of runs or falsifies them.
    """
    from lossproof.cli.commands.doctor import doctor_command

    return doctor_command(start=start, as_json=as_json)


VIEW_COMMANDS = (explain, repro, report, doctor)
