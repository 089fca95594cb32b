"""``lossproof check``: a function of a file is judged as a target is, and printed as a run is."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import click

from lossproof.adapters.outputs import OUTPUTS
from lossproof.cli.native_stderr import native_stderr_aside
from lossproof.cli.outputs import new_record, views
from lossproof.cli.printed_session import told
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.variant import Variant
from lossproof.functions.argument_names import SYNONYMS
from lossproof.functions.declaration import Declaration
from lossproof.functions.found_function import found_function, op_of
from lossproof.functions.function_session import Explained, function_session
from lossproof.functions.questions import Questions
from lossproof.targets.plain_function import DERIVATIVES
from lossproof.views.progress import progress

_SEVERAL = ("dtypes", "options", "targets", "reductions", "ranks", "layouts", "labels")


def check_command(
    function: str,
    *,
    outputs: OutputOptions,
    op: str | None,
    names: Sequence[str],
    pick: str | None,
    grad: str | None,
    wanted: Sequence[str],
    derivatives: Sequence[str],
    profiles: Sequence[str],
    conventions: Sequence[str],
    no_full_smoothing: bool,
    no_autodiff: bool,
    no_errors: bool,
    in_process: bool,
    deck: str,
    seed: int,
    explore: int,
    z_loss: float | None,
    softcap: float | None,
    logit_scale: float | None,
    sample_weight: bool,
    **given: Any,
) -> int:
    """Judge, print, and return the exit code."""
    new_record(outputs.record, overwrite=outputs.overwrite)
    others = views(outputs, {"deck": deck, "seed": seed})
    place, _, name = function.rpartition(":")
    with native_stderr_aside():
        judged = found_function(function)
    rest: dict[str, Any] = {key: tuple(value) or None if key in _SEVERAL else value for key, value in given.items()}
    beside = _pairs("--derivative", derivatives, "OUTPUT=NAME, such as hvp=second", DERIVATIVES)
    declared = Declaration(
        op=op_of(function, op, judged),
        name=name,
        names=_pairs("--name", names, "ARGUMENT=NAME, such as target=labels", SYNONYMS) or None,
        pick=int(pick) if pick and pick.lstrip("-").isdecimal() else pick,
        grad=found_function(f"{place}:{grad}") if grad else None,
        derivatives={output: found_function(f"{place}:{own}") for output, own in beside.items()},
        error_profiles=_pairs("--profile", profiles, "DTYPE=PROFILE, such as float16=W"),
        conventions=_conventions(conventions),
        full_smoothing=not no_full_smoothing,
        outputs=tuple(wanted) or None,
        autodiff=not no_autodiff,
        isolate=not in_process,
        variant=_variant(z_loss, softcap, logit_scale, sample_weight=sample_weight),
        **rest,
    )
    asked = Questions(deck=deck, seed=seed, errors=not no_errors, explore=explore)
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(progress(quiet=outputs.quiet))
        shown.stage(f"{name}: trial calls find out what it takes")
        one = stack.enter_context(contextlib.closing(function_session(judged, declared, asked)))
        shown.stage(f"{name}: its answers are judged")
        for line in one.notes:
            click.echo(line, err=outputs.as_json or outputs.quiet)
        # Overflows of a function are provoked: what it warns of them is no news.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", RuntimeWarning)
        stack.enter_context(one.quiet())
        explained = Explained(one.target, partial(click.echo, err=outputs.as_json))
        code = told(one.session, outputs, {**others, "the explanation": explained}, None, shown)
        if one.explored and not outputs.as_json:
            click.echo(f"explored {one.explored.found.drawn} calls")
        return code


def _variant(
    z_loss: float | None, softcap: float | None, logit_scale: float | None, *, sample_weight: bool
) -> Variant | None:
    """The variant that options ask for, None without any."""
    numbers = {"z_loss": z_loss, "softcap": softcap, "logit_scale": logit_scale}
    given = {name: value for name, value in numbers.items() if value is not None}
    return Variant(**given, sample_weight=sample_weight) if given or sample_weight else None


def _conventions(given: Sequence[str]) -> dict[tuple[str, str], str]:
    pairs = [(text, *text.partition("=")) for text in given]
    found = {}
    for text, key, _, shown in pairs:
        output = next((name for name in OUTPUTS if key.endswith(f"/{name}")), "")
        clause = key.removesuffix(f"/{output}")
        if not (clause and output and shown):
            raise UsageError(f"--convention is {text!r}; expected CLAUSE/OUTPUT=SHOWN, such as 4/value=nan")
        found[clause, output] = shown
    return found


def _pairs(option: str, given: Sequence[str], form: str, known: Collection[str] | None = None) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    known_names(f"name in {option}", [key for key, sign, _ in pairs if sign], list(known or FORMATS))
    wrong = next((text for text, (key, _, value) in zip(given, pairs, strict=True) if not key or not value), None)
    if wrong is not None:
        raise UsageError(f"{option} is {wrong!r}; expected {form}")
    return {key: value for key, _, value in pairs}
