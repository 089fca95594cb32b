"""The Python front door: judge targets as the command line does, or a plain function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from lossproof.adapters.protocol import MEANS, REDUCTIONS
from lossproof.cases.catalogue import select
from lossproof.cases.explore import what_is_missing
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import ERROR
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.operations import OPERATIONS, validate
from lossproof.core.profiles import STRICTNESS
from lossproof.records.waivers import Book
from lossproof.running import judgement_cache
from lossproof.running.report import Report, report
from lossproof.running.session import Live, Session, opened
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.targets.launch import TIMEOUT
from lossproof.targets.plain_function import DERIVATIVES, NUMPY_DTYPES, Function, FunctionAdapter, numpy_dtype
from lossproof.targets.target import Target

# What labels of a loss may be.
TARGET_KINDS = ("index", "probability")


def run(
    *targets: str,
    deck: str = "default",
    seed: int = 0,
    ops: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    families: Iterable[str] = (),
    waivers: Iterable[str] = (),
    strict: bool = False,
    jobs: int = 0,
    timeout: float = TIMEOUT,
    in_process: bool = False,
    cache: bool = True,
) -> Report:
    """Judge targets as ``lossproof run`` does, and return the report.

    ``targets`` are target strings such as ``torch``, ``jax+jit`` or ``file.py:ADAPTER``; without any, every installed
    one. ``deck`` is ``smoke``, ``default`` or ``full``; ``seed``, ``ops``, ``dtypes`` and ``families`` choose another
    draw or a part of it. Deviations in the files ``waivers``, and those that the package knows of, are no failures;
    under ``strict`` waivers that no longer hold are. ``jobs`` targets run at once (0: one for each core), each in a
    process of its own in which a call takes at most ``timeout`` seconds, or all ``in_process``, one after the other.
    With ``cache`` an answer that was judged before on this machine, with the same bits and by the same engine, is not
    judged again, but for a sample.

    Raises :class:`UsageError` for a target, a name or a file that is not there.
    """
    options = DeckOptions(size=deck, seed=seed, ops=tuple(ops), dtypes=tuple(dtypes), families=tuple(families))
    execution = Execution(jobs=jobs, timeout=timeout, in_process=in_process, cache=cache)
    rules = Rules(waivers=tuple(waivers), strict=strict)
    with closing(opened(targets, deck=options, execution=execution, rules=rules)) as session:
        return report(session)


def check_implementation(
    value: Function,
    *,
    op: str,
    grad: Function | None = None,
    name: str = "",
    dtypes: Iterable[str] = NUMPY_DTYPES,
    options: Iterable[str] | None = None,
    targets: Iterable[str] = TARGET_KINDS,
    error_profiles: Mapping[str, str] | None = None,
    derivatives: Mapping[str, Function] | None = None,
    online: bool = False,
    mean: str = "mean",
    normalised_targets: bool = False,
    reductions: Iterable[str] = REDUCTIONS,
    ranks: Iterable[int] = (),
    full_smoothing: bool = True,
    fixed_ignore_index: int | None = None,
    conventions: Mapping[tuple[str, str], str] | None = None,
    defaults: Iterable[str] = (),
    deck: str = "default",
    seed: int = 0,
    calls: Iterable[Call | Mapping[str, Any]] | None = None,
    errors: bool = True,
    explore: int = 0,
    cache: bool = True,
) -> Report:
    """Judge a plain function against certified truth within derived bounds.

    ``value(x, *, axis)`` for softmax and log_softmax; ``value(x, *, target, weight, ignore_index, reduction, axis)``
    for nll_loss, and also ``label_smoothing`` for cross_entropy. ``grad(x, cotangent, *, ...)`` takes the same
    keywords and returns the gradient with respect to ``x``. NumPy arrays in and out, of the dtype under test
    (bfloat16 needs the package ml_dtypes). ``options`` names the keywords that the function takes, if not all:
    calls that need others are not judged; ``out_dtype`` among them says that the function takes that keyword, a dtype
    wider than that of ``x`` for its result, which weights, probabilities and the cotangent then have as well.
    ``derivatives`` may hold ``jvp(x, tangent, ...)``, ``hvp(x, cotangent, tangent, ...)``,
    ``grad_target(x, cotangent, ...)``, ``mixed(x, cotangent, target_tangent, ...)`` and
    ``jvp_target(x, target_tangent, ...)``.

    ``defaults`` names those of them that may be left out, where that means the last axis, the mean, nothing ignored, no
    smoothing and no weights: they are left out in some calls.

    ``error_profiles`` maps a dtype to a declared error profile W, N or F; ``online`` declares partial sums that are
    rescaled when the running maximum grows. ``mean`` says what the reduction ``mean`` of index targets is if it does
    not divide by the weights of the labels: ``mean_over_rows`` (all rows) or ``mean_over_kept`` (those not ignored).
    ``normalised_targets`` declares that probabilities must sum to 1, ``reductions`` which ones a loss has, ``ranks``
    how many axes an input may have (any, if there are none), ``full_smoothing`` whether a smoothing of 1 is taken,
    and ``fixed_ignore_index`` the one label that is ignored always: calls that need something else are not judged.
    ``conventions`` declare what the function shows where the specification (section 4) leaves a choice, by clause and
    output, such as ``{("4", "value"): "nan"}``;
    what is not declared must be the same in every dtype. The function meets arrays in every memory layout.

    ``deck`` (``smoke``, ``default`` or ``full``) and ``seed`` choose the calls and the relations, or ``calls`` replaces
    them: those of a report's failures, as their field ``call`` has them. Answers to invalid and to empty input (labels
    out of range, no rows) are judged, too: an exception is right for the invalid ones, a silent number is not. A
    function whose callers have checked all that is judged with ``errors=False``.

    With ``explore`` so many calls are drawn besides, of any shape, option, layout and kind of logits; the first that
    fails is shrunk to a small one, which is the last of the failures. That takes hypothesis, the extra ``explore``.

    With ``cache`` an answer of the same bits that was judged before on this machine is not judged again, but for a
    sample; those of drawn calls always are.

    Raises :class:`UsageError` for an unknown op, dtype, kind of target, error profile, option or mean, for a deck
    without a call of that op and those dtypes, and for calls that are none. A report of which nothing was judged is not
    ``ok``; what was left out is in its ``left_out``.
    """
    if explore < 0:
        raise UsageError(f"explore is {explore}; expected a number of calls, or 0 for none")
    if explore and what_is_missing():
        raise UsageError(what_is_missing())
    if op not in OPERATIONS:
        raise UsageError(f"unknown op {op!r}; expected one of {', '.join(OPERATIONS)}")
    if mean not in MEANS:
        raise UsageError(f"unknown mean {mean!r}; expected one of {', '.join(MEANS)}")
    later = derivatives or {}
    unknown = ", ".join(sorted(set(later) - set(DERIVATIVES)))
    if unknown:
        raise UsageError(f"unknown derivative {unknown}; expected {', '.join(DERIVATIVES)}")
    known = OPERATIONS[op].options
    chosen = frozenset(options) if options is not None else known
    if not chosen <= known | OPERATIONS[op].extras:
        unknown = ", ".join(sorted(chosen - known - OPERATIONS[op].extras))
        raise UsageError(f"{op} has no option {unknown}; expected {', '.join(sorted(known | OPERATIONS[op].extras))}")
    wanted, kinds, profiles = tuple(dtypes), tuple(targets), error_profiles or {}
    _some("dtype", "dtypes", wanted, list(FORMATS))
    _some("kind of target", "targets", kinds, TARGET_KINDS)
    left = frozenset(defaults)
    known_names("argument with a default", left, sorted(chosen))
    known_names("dtype of an error profile", profiles, list(FORMATS))
    some, dimensions = tuple(reductions), tuple(ranks)
    _some("reduction", "reductions", some, REDUCTIONS)
    known_names("error profile", profiles.values(), [name for name in STRICTNESS if name])
    for dtype in wanted:
        numpy_dtype(dtype)
    adapter = FunctionAdapter(
        name or getattr(value, "__name__", "function"),
        op,
        value,
        grad,
        wanted,
        chosen,
        kinds,
        profiles,
        later,
        online,
        mean,
        normalised_targets,
        conventions or {},
        {
            "reductions": some,
            "ranks": dimensions,
            "full_smoothing": full_smoothing,
            "fixed_ignore_index": fixed_ignore_index,
        },
        left,
    )
    put, left_out = _put(op, wanted, deck, seed, errors=errors) if calls is None else (_given(calls), [])
    target, made = [Target(adapter)], DeckOptions(size=deck, seed=seed, ops=(op,), dtypes=wanted)
    source = Live(target, put, cache=judgement_cache.on_this_machine(wanted=cache))
    with closing(Session(subjects=target, calls=put, deck=made, book=Book([], target), source=source)) as session:
        found = report(session)
    if explore:
        from lossproof.running.exploration import explored

        more = explored(target, op, wanted, examples=explore, seed=seed)
        reasons = (*found.reasons, *([f"exploration found {more.call.id}"] if more.call else []))
        found = replace(
            found, observations=(*found.observations, *more.observations), reasons=reasons, explored=more.drawn
        )
    elif calls is None:
        left_out.append("calls of any shape and option (explore=1000 draws a thousand)")
    hint = _hint(found) if calls is None else ""
    return replace(found, left_out=(*left_out, *_narrowed(op, wanted, kinds)), hint=hint)


def _put(op: str, dtypes: Sequence[str], deck: str, seed: int, *, errors: bool) -> tuple[list[Call], list[str]]:
    """The calls of a deck, and what is left out of it."""
    whole = select(deck, seed, (op,), dtypes)
    kept = [c for c in whole if errors or c.family != ERROR]
    n = len(whole) - len(kept)
    return kept, [f"{n} calls of invalid and of empty input (errors=True judges them)"] if n else []


def _given(calls: Iterable[Call | Mapping[str, Any]]) -> list[Call]:
    """Calls of the caller's own. Those of the deck's kinds may be invalid on purpose, values of a call may not."""
    found = [call if isinstance(call, Call) else from_json(call) for call in calls]
    for call in found:
        if not call.is_check:
            validate(call.problem)
    return found


def _narrowed(op: str, dtypes: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """What the arguments leave out."""
    kinds_left = [kind for kind in OPERATIONS[op].targets if kind not in kinds]
    left = (("dtypes", [d for d in FORMATS if d not in dtypes]), ("targets", kinds_left))
    return [f"{', '.join(names)} (not among {argument})" for argument, names in left if names]


def _hint(found: Report) -> str:
    """What to know of failures: those that are answers to invalid input may be none of the function's business."""
    n = sum(o.case.family == ERROR for o in found.failures)
    return f"{n} of them answer invalid or empty input (ids with /error/); errors=False leaves it out" if n else ""


def _some(what: str, argument: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Raise :class:`UsageError` for no name at all, and for one that is unknown."""
    if not given:
        raise UsageError(f"{argument} is empty; expected some of {', '.join(known)}")
    known_names(what, given, known)
