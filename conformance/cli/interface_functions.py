"""The commands for whoever writes an implementation: check and new-adapter. Options only; the work is imported when a
command runs."""

from __future__ import annotations

from typing import Any

import click

from lossproof.cli.shared_options import MANY_NAMES, TIMEOUT_OPTION, output_options, several

_OPTIONS = (
    click.option("--op", metavar="NAME", help="The op; by default the one that the function's name has in it."),
    click.option("--framework", metavar="NAME", help="numpy, torch, jax or tensorflow; by default it is found out."),
    click.option(
        "--device", default="cpu", show_default=True, metavar="NAME", help="Where tensors are, such as cuda:0."
    ),
    click.option(
        "--name",
        "names",
        multiple=True,
        metavar="ARGUMENT=NAME",
        help="Its name of an argument, x=scores (repeatable).",
    ),
    click.option("--pick", metavar="INDEX|NAME", help="Which of several results is judged."),
    click.option("--grad", metavar="NAME", help="The function beside it that computes the gradient (NumPy)."),
    click.option(
        "--derivative",
        "derivatives",
        multiple=True,
        metavar="OUTPUT=NAME",
        help="The function beside it that computes another derivative, hvp=NAME (repeatable).",
    ),
    click.option("--dtype", "dtypes", help="Only this dtype (repeatable).", **MANY_NAMES),
    click.option("--option", "options", help="An option that it takes, if not all of them (repeatable).", **MANY_NAMES),
    click.option("--target", "targets", help="Kind of target, index or probability (repeatable).", **MANY_NAMES),
    click.option("--output", "wanted", help="Only this output, such as value or vjp (repeatable).", **MANY_NAMES),
    click.option("--reduction", "reductions", help="Only this reduction (repeatable).", **MANY_NAMES),
    click.option("--rank", "ranks", multiple=True, type=int, metavar="N", help="Logits of so many axes (repeatable)."),
    click.option("--layout", "layouts", help="Only this layout in memory (repeatable).", **MANY_NAMES),
    click.option("--labels", multiple=True, metavar="DTYPE", help="Only labels of this dtype (repeatable)."),
    click.option("--max-classes", type=int, metavar="N", help="The largest number of classes."),
    click.option("--finite", is_flag=True, help="Its logits are finite always: none is masked at -inf."),
    click.option("--normalised-targets", is_flag=True, help="Its probability targets sum to 1 always."),
    click.option("--no-full-smoothing", is_flag=True, help="It takes no label smoothing of 1."),
    click.option("--ignore-index", type=int, metavar="N", help="The one label that it ignores always."),
    click.option("--wraps-negative-labels", is_flag=True, help="Labels below 0 count from the end, as indices do."),
    click.option("--zeroes-unknown-labels", is_flag=True, help="A label out of range contributes nothing."),
    click.option("--result-dtype", metavar="NAME", help="The dtype of results, wider than that of the logits."),
    click.option(
        "--mean",
        default="mean",
        metavar="NAME",
        help="What its mean is: mean (the default), mean_over_rows or mean_over_kept.",
    ),
    click.option("--z-loss", type=float, metavar="FACTOR", help="A variant: squared log-sum-exps are added."),
    click.option("--softcap", type=float, metavar="C", help="A variant: its logits are C tanh(x / C)."),
    click.option("--logit-scale", type=float, metavar="FACTOR", help="A variant: logits are multiplied first."),
    click.option("--sample-weight", is_flag=True, help="A variant: each row has a weight."),
    click.option(
        "--profile", "profiles", multiple=True, metavar="DTYPE=W|F|S|N", help="A declared error profile (repeatable)."
    ),
    click.option(
        "--convention",
        "conventions",
        multiple=True,
        metavar="CLAUSE/OUTPUT=SHOWN",
        help="What it shows where the specification leaves a choice, 4/value=nan (repeatable).",
    ),
    click.option("--default", "defaults", help="An option that may be left out (repeatable).", **MANY_NAMES),
    click.option("--online", is_flag=True, help="It rescales partial sums when the running maximum grows."),
    click.option("--memory", default="", metavar="O(N)", help="How its memory grows, beyond input and gradient."),
    click.option("--no-autodiff", is_flag=True, help="Without the derivatives of the framework."),
    click.option("--no-errors", is_flag=True, help="Without calls of invalid and of empty input."),
    click.option("--in-process", is_flag=True, help="Without a process of its own: a crash is that of the command."),
    TIMEOUT_OPTION,
    click.option("--deck", default="default", show_default=True, metavar="NAME", help="smoke, default or full."),
    click.option("--seed", default=0, show_default=True, type=int, metavar="N", help="Seed of the deck."),
    click.option(
        "--explore",
        default=0,
        metavar="N",
        help="Draw so many calls besides, of any shape and option; the first that fails is shrunk.",
    ),
)


@click.command()
@click.argument("function", metavar="FILE.py:FUNCTION")
@several(_OPTIONS)
@output_options()
def check(function: str, **options: Any) -> int:
    """Judge a function, a module or a loss: FILE.py:FUNCTION or module:FUNCTION, such as losses.py:cross_entropy.

    It takes arrays of NumPy or tensors of a framework. Its signature is read, trial calls find out what it takes, and
    what is not asked is said. Exit codes are those of run.
    """
    from lossproof.cli.commands.check import check_command

    return check_command(function, **options)


@click.command("new-adapter")
@click.argument("name")
@click.option("--framework", metavar="NAME", help="numpy (the default), torch, jax or tensorflow.")
@click.option("--language", default="python", show_default=True, metavar="NAME", help="python or javascript.")
@click.option("--folder", metavar="DIR", help="Where to write it; by default lossproof-NAME.")
def new_adapter(name: str, framework: str | None, language: str, folder: str | None) -> int:
    """Write a package with an adapter NAME, its test, a CI job and a README; it passes as it is written.

    With --language javascript it is a program for Node with what it needs to be judged, for targets exec:COMMAND.
    """
    from lossproof.cli.commands.new_adapter import new_adapter_command

    return new_adapter_command(name, framework=framework, language=language, folder=folder)


FUNCTION_COMMANDS = (check, new_adapter)
