"""Options that several commands share, by group; a command gets one object for each group.

The engine's classes are imported when a command runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
MANY_NAMES: dict[str, Any] = {"multiple": True, "metavar": "NAME"}

_SEED = click.option("--seed", default=0, show_default=True, type=int, metavar="N", help="Seed of the deck.")
_FILTERS = (
    click.option("--op", "ops", help="Only this op (repeatable).", **MANY_NAMES),
    click.option("--dtype", "dtypes", help="Only this dtype (repeatable).", **MANY_NAMES),
    click.option("--family", "families", help="Only this family of cases (repeatable).", **MANY_NAMES),
)
_CHOSEN = (
    click.option(
        "--id", "ids", multiple=True, metavar="GLOB", help="Only cases of ids like this, or that end so (repeatable)."
    ),
    click.option("--exclude", "excluded", multiple=True, metavar="GLOB", help="No cases of such ids (repeatable)."),
)
_SHARD = click.option(
    "--shard", metavar="I/N", help="Only part I of N: run all parts, on any machines, and merge the records."
)
_KEPT = click.option(
    "--calls", multiple=True, metavar="PATH", help="Also a kept call, or a folder of them (repeatable)."
)
_CASES = click.option(
    "--cases",
    default="",
    metavar="NAME[@ENVIRONMENT]",
    help="In place of the deck the cases of another project's tests: onnx or opinfo.",
)
_JOBS = click.option(
    "--jobs", default=0, type=click.IntRange(min=0), metavar="N", help="Targets at once (0: one a core)."
)
TIMEOUT_OPTION = click.option(
    "--timeout",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="The most that one call may take, compilation included.",
)
_MEMORY = click.option(
    "--memory",
    default=0.0,
    type=click.FloatRange(min=0),
    metavar="GIB",
    help="The most resident memory of one target's process (0: half of the machine's).",
)
_IN_PROCESS = click.option(
    "--in-process", is_flag=True, help="Targets in this process, one after the other; a crash ends the run."
)
_NO_CACHE = click.option(
    "--no-cache", is_flag=True, help="Judge every answer, also those that were judged before (see lossproof cache)."
)
_KERNEL_TIMES = click.option(
    "--kernel-times/--no-kernel-times",
    "times_kernels",
    default=None,
    help="Time kernels beside a copy at the end (on where a record of more than a part is written).",
)
_WAIVERS = click.option(
    "--waivers", multiple=True, metavar="FILE", help="Known deviations, on top of the shipped ones (repeatable)."
)
_STRICT = click.option(
    "--strict", is_flag=True, help="Unexpected passes and stale waivers fail, in versions they were seen in."
)
_OUTPUTS = (
    click.option("--quiet", "-q", is_flag=True, help="Only the last line, and the failures."),
    click.option("--html", metavar="FILE", help="Also write the report as one HTML page (extra: report)."),
    click.option("--junit", metavar="FILE", help="Also write JUnit XML: a case for each target, op, dtype and family."),
    click.option(
        "--github", is_flag=True, help="Also a summary and annotations for GitHub Actions (on there by itself)."
    ),
    click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object in place of the tables."),
)
_RECORDED: dict[str, Any] = {
    "metavar": "FILE",
    "help": "Write every observation to FILE (JSON Lines; .gz and .zst compress).",
}
_RECORD = click.option("--record", **_RECORDED)
RECORD_AS_OUTPUT = click.option("--record", "-o", **_RECORDED)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a record that exists.")
_OUTPUT = click.option("--output", "-o", "record", required=True, metavar="FILE", help="The record to be written.")


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Output options say where the observations of a session go: a ``record`` (which may ``overwrite`` another one),
    the terminal (``quiet``: the failures and the last line), and the other views that are named by their options."""

    record: str | None = None
    overwrite: bool = False
    quiet: bool = False
    html: str | None = None
    junit: str | None = None
    github: bool = False
    as_json: bool = False


def several(options: Sequence[Decorator]) -> Decorator:
    """Options as one decorator, in the order of the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _grouped(name: str, options: Sequence[Decorator], make: Callable[[dict[str, Any]], Any], taken: str) -> Decorator:
    """Options that a command gets as one argument ``name``, made of those that are ``taken``."""
    keys = taken.split()

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_group(*args: Any, **given: Any) -> Any:
            made = make({key: given.pop(key) for key in keys if key in given})
            return command(*args, **given, **{name: made})

        return several(options)(with_group)

    return decorate


def deck_options(
    help: str = "Size of the deck: smoke, default or full.",
    *,
    filters: bool = True,
    kept: bool = False,
    chosen: bool = True,
    shard: bool = False,
    cases: bool = False,
) -> Decorator:
    """The options of a deck; the command gets them as ``deck``, a DeckOptions."""

    def make(given: dict[str, Any]) -> Any:
        from lossproof.cases import shard as parts
        from lossproof.running.session_options import DeckOptions

        part = given.pop("shard", None)
        return DeckOptions(
            size=given.pop("deck"),
            kept=given.pop("calls", ()),
            shard=parts.parse_shard(part) if part else parts.UNDIVIDED,
            **given,
        )

    size = click.option("--deck", default="default", show_default=True, metavar="NAME", help=help)
    options = [size, _SEED, *([_SHARD] if shard else ()), *(_FILTERS if filters else ())]
    options += [*(_CHOSEN if filters and chosen else ()), *([_KEPT] if kept else ()), *([_CASES] if cases else ())]
    return _grouped("deck", options, make, "deck seed shard ops dtypes families ids excluded calls cases")


def execution_options(
    *, jobs: bool = True, limits: bool = False, cache: bool = False, kernel_times: bool = False
) -> Decorator:
    """The options of how targets run; the command gets them as ``execution``, an Execution."""

    def make(given: dict[str, Any]) -> Any:
        from lossproof.running.session_options import Execution

        return Execution(cache=not given.pop("no_cache", False), **given)

    options = [*([_JOBS] if jobs else ()), TIMEOUT_OPTION, *((_MEMORY, _IN_PROCESS) if limits else ())]
    options += [*([_NO_CACHE] if cache else ()), *([_KERNEL_TIMES] if kernel_times else ())]
    return _grouped("execution", options, make, "jobs timeout memory in_process no_cache times_kernels")


def rule_options(*, strict: bool = True) -> Decorator:
    """The options of what makes a run fail; the command gets them as ``rules``, a Rules."""

    def make(given: dict[str, Any]) -> Any:
        from lossproof.running.session_options import Rules

        return Rules(**given)

    return _grouped("rules", [_WAIVERS, *([_STRICT] if strict else ())], make, "waivers strict")


def output_options(*, record: Decorator = _RECORD) -> Decorator:
    """The options of where observations go; the command gets them as ``outputs``, an :class:`OutputOptions`."""
    taken = "record overwrite quiet html junit github as_json"
    return _grouped("outputs", [record, OVERWRITE, *_OUTPUTS], lambda given: OutputOptions(**given), taken)


def merged_output_options() -> Decorator:
    """Add the output options of a command whose output is a record, named with ``--output``."""
    return output_options(record=_OUTPUT)


def case_options() -> Decorator:
    """The options of where a case is found; the command gets them as ``place``, a CasePlace."""

    def make(given: dict[str, Any]) -> Any:
        from lossproof.repro.find import CasePlace

        return CasePlace(**given)

    options = (
        click.option("--deck", default="default", show_default=True, metavar="NAME", help="The deck that has the id."),
        click.option("--seed", default=0, show_default=True, type=int, metavar="N", help="Seed of that deck."),
        click.option("--record", metavar="FILE", help="Look the id up in a record, among the calls that did not pass."),
        click.option(
            "--call",
            "call_file",
            metavar="FILE",
            help="A call as JSON, as exploration prints it (- for standard input).",
        ),
        _CASES,
    )
    return _grouped("place", options, make, "deck seed record call_file cases")
