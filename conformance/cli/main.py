"""The command line. Commands import what they need when they run, so that ``--help`` is instant.

Exit codes: 0 all well, 1 a finding (or a required target is missing), 2 the command could not be understood or
carried out, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lossproof import __version__
from lossproof.cli import (
    interface_board,
    interface_cases,
    interface_functions,
    interface_gpu,
    interface_records,
    interface_sweep,
    interface_upgrade,
    interface_views,
)
from lossproof.cli.closed_pipe import CannotPrintError, without_reader
from lossproof.cli.completed_values import add_completed_values
from lossproof.cli.examples import add_examples
from lossproof.cli.shared_options import deck_options, execution_options, output_options, rule_options
from lossproof.core.errors import UsageError

if TYPE_CHECKING:
    from lossproof.running.session_options import DeckOptions

# Commands that only print: without a reader they have nothing to do.
_LISTING = frozenset({"lossproof show", "lossproof deck list", "lossproof deck coverage"})


class _Commands(click.Group):
    """A group whose errors are one clear line each, in one form."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; turn every user's mistake into one line and exit code 2."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except UsageError as error:
            _fail(str(error))
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(2)
        except click.NoSuchOption as error:
            if error.option_name != "--profile":
                _fail_at(error)
            _fail("No such option '--profile'; the size of the deck is chosen with --deck, such as --deck smoke")
        except click.ClickException as error:
            _fail_at(error)
        except (click.Abort, KeyboardInterrupt):
            click.echo("lossproof: interrupted", err=True)
            sys.exit(130)
        except CannotPrintError as error:
            _fail(f"what is printed cannot be written: {error.strerror}")
        sys.exit(code if isinstance(code, int) else 0)


def _fail_at(error: click.ClickException) -> NoReturn:
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context else ""
    _fail(error.format_message().rstrip(".") + hint)


def _fail(message: str) -> NoReturn:
    click.echo("lossproof: error: " + " ".join(message.split("\n")), err=True)
    sys.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="lossproof")
def cli() -> None:
    """Conformance of softmax, log-softmax, NLL and cross-entropy: certified truth, derived bounds, every framework."""


@cli.command()
@click.argument("target", nargs=-1)
@deck_options(kept=True, shard=True, cases=True)
@output_options()
@click.option("--resume", is_flag=True, help="Finish the record of a run that was cut short, if there is one.")
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="Its workers judge the targets, one each; local: new ones here (extra: cluster).",
)
@rule_options()
@click.option(
    "--last-failed", "--lf", is_flag=True, help="Only what failed in the last run here, or all if nothing did."
)
@click.option(
    "--maxfail",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Stop after N outputs that fail (0: never); --record can be resumed.",
)
@click.option("--require", multiple=True, metavar="TARGET|DEVICE", help="Fail unless the run has it (repeatable).")
@execution_options(limits=True, cache=True, kernel_times=True)
def run(target: tuple[str, ...], **options: Any) -> int:
    """Judge implementations. TARGET is NAME[+MODE][:DEVICE][@ENVIRONMENT][%VARIABLE=VALUE...], such as torch, jax+jit
    or torch:cuda:0, or all. NAME may also be file.py:ATTRIBUTE; ENVIRONMENT is the path of an interpreter.

    Without a TARGET: every adapter whose framework is installed.
    """
    from lossproof.cli.commands.run import run_command

    return run_command(target, **options)


@cli.command()
@click.argument("target", nargs=-1)
def targets(target: tuple[str, ...]) -> int:
    """List what can be judged here, and how to install the rest, as the metadata of packages has it.

    With a TARGET (or all): start it, and print what it offers: devices, modes, ops, dtypes, variables, build facts.
    """
    if target:
        from lossproof.cli.commands.offers import offers_command

        return offers_command(target)
    from lossproof.cli.commands.targets import packages_command

    return packages_command()


@cli.group()
def env() -> None:
    """Environments with other releases, made once and kept: what TARGET@NAME runs in."""


@env.command("create")
@click.argument("name")
@click.argument("requirement", nargs=-1)
@click.option("--python", metavar="VERSION|PATH", help="Its Python, such as 3.8; by default the one that runs this.")
@click.option("--force", is_flag=True, help="Replace an environment of that name.")
def env_create(name: str, requirement: tuple[str, ...], python: str | None, force: bool) -> int:
    """Make environment NAME of REQUIREMENTs such as torch==1.12.1, and NumPy, or keep the one that is there.

    With uv where it is on PATH, else with venv and pip; the user's pip configuration holds. Old releases often need
    older companions than they ask for, such as 'numpy<2'.
    """
    from lossproof.cli.commands.env import create_command

    return create_command(name, requirement, python=python, force=force)


@env.command("list")
def env_list() -> int:
    """List the environments."""
    from lossproof.cli.commands.env import list_command

    return list_command()


@env.command("remove")
@click.argument("name", nargs=-1, required=True)
def env_remove(name: tuple[str, ...]) -> int:
    """Delete environments."""
    from lossproof.cli.commands.env import remove_command

    return remove_command(name)


@cli.command()
@click.option("--clear", is_flag=True, help="Delete it.")
def cache(clear: bool) -> int:
    """Show the cache of judgements: an answer with the same bits is not judged again by the same engine.

    Of what runs take from it they judge a sample again; a difference is an error. The variable LOSSPROOF_NO_CACHE
    switches it off, as --no-cache does for one run.
    """
    from lossproof.cli.commands.cache import cache_command

    return cache_command(clear=clear)


@cli.group()
def golden() -> None:
    """Golden values: certified results that are kept in the package."""


@golden.command("check")
def golden_check() -> int:
    """Compute the golden values again and compare. Exit code 1 if any drifted."""
    from lossproof.truth.worked_example import check_published

    drift = list(check_published())
    for line in drift:
        click.echo(line)
    click.echo(f"{len(drift)} golden values drifted" if drift else "golden values agree")
    return 1 if drift else 0


@cli.group()
def deck() -> None:
    """The cases: what is put to every target."""


@deck.command("list")
@deck_options(cases=True)
def deck_list(deck: DeckOptions) -> int:
    """Print the ids of a deck, one a line."""
    deck.check()
    for call in deck.calls():
        click.echo(call.id)
    return 0


@deck.command("coverage")
@click.argument("target", required=False)
@deck_options()
@click.option("--json", "as_json", is_flag=True, help="The counts as one JSON object in place of the tables.")
def deck_coverage(target: str | None, **options: Any) -> int:
    """Print how often a deck asks TARGET each class of shapes, values, layouts and options, and which it never does.

    Without a TARGET: of one that offers everything and pays nothing for a new shape.
    """
    from lossproof.cli.commands.coverage import coverage_command

    return coverage_command(target, **options)


@deck.command("export")
@click.argument("folder")
@deck_options()
@execution_options(jobs=False)
def deck_export(folder: str, **options: Any) -> int:
    """Write a deck and the adapters to a new FOLDER, to be evaluated on a machine without lossproof.

    README.txt in it says how. Judge what comes back with lossproof judge.
    """
    from lossproof.cli.commands.detached import export_command

    return export_command(folder, **options)


@cli.command()
@click.argument("answers", nargs=-1, required=True)
@output_options()
@rule_options()
def judge(answers: tuple[str, ...], **options: Any) -> int:
    """Judge ANSWERS from a machine that has evaluated an exported deck, files or bundles: the same report as a run."""
    from lossproof.cli.commands.detached import judge_command

    return judge_command(answers, **options)


@cli.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> int:
    """Print the completion of lossproof for SHELL: commands, options and their values, with the tab key.

    The examples below install it for new shells; ~/.zfunc has to be in fpath before compinit is called.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    # sanity check: click knows the shells of the choice
    assert made is not None
    script = made(cli, {}, "lossproof", "_LOSSPROOF_COMPLETE")
    click.echo(script.source_template % script.source_vars())
    return 0


for command in (
    *interface_cases.CASE_COMMANDS,
    *interface_functions.FUNCTION_COMMANDS,
    interface_gpu.gpu,
    *interface_sweep.SWEEP_COMMANDS,
    *interface_records.RECORD_COMMANDS,
    *interface_upgrade.UPGRADE_COMMANDS,
    *interface_board.BOARD_COMMANDS,
    *interface_views.VIEW_COMMANDS,
):
    cli.add_command(command)
add_examples(cli)
add_completed_values(cli)


def main() -> None:
    """Entry point of the ``lossproof`` command."""
    sys.stdout, sys.stderr = without_reader(sys.stdout, _LISTING), without_reader(sys.stderr)
    cli(prog_name="lossproof")
