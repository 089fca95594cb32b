"""The Python front door: judge targets as the command line does, or a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from lossproof.core.call import Call
from lossproof.core.variant import Variant
from lossproof.functions.declaration import Declaration
from lossproof.functions.function_check import check_function
from lossproof.functions.picked import Pick
from lossproof.functions.questions import Questions
from lossproof.running.report import Report, report
from lossproof.running.session import opened
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.targets.launch import TIMEOUT
from lossproof.targets.plain_function import Function


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
    value: Any,
    *,
    op: str,
    framework: str | None = None,
    device: str = "cpu",
    names: Mapping[str, str] | None = None,
    pick: Pick = None,
    grad: Function | None = None,
    name: str = "",
    dtypes: Iterable[str] | None = None,
    options: Iterable[str] | None = None,
    targets: Iterable[str] | None = None,
    outputs: Iterable[str] | None = None,
    autodiff: bool = True,
    error_profiles: Mapping[str, str] | None = None,
    derivatives: Mapping[str, Function] | None = None,
    online: bool = False,
    mean: str = "mean",
    normalised_targets: bool = False,
    reductions: Iterable[str] | None = None,
    ranks: Iterable[int] | None = None,
    max_classes: int | None = None,
    finite: bool = False,
    layouts: Iterable[str] | None = None,
    labels: Iterable[str] | None = None,
    result_dtype: str | None = None,
    full_smoothing: bool = True,
    fixed_ignore_index: int | None = None,
    ignore_index: int | None = None,
    wraps_negative_labels: bool = False,
    zeroes_unknown_labels: bool = False,
    conventions: Mapping[tuple[str, str], str] | None = None,
    variant: Variant | None = None,
    defaults: Iterable[str] = (),
    memory: str = "",
    isolate: bool = False,
    timeout: float = TIMEOUT,
    deck: str = "default",
    seed: int = 0,
    calls: Iterable[Call | Mapping[str, Any]] | None = None,
    errors: bool = True,
    explore: int = 0,
    cache: bool = True,
) -> Report:
    """Judge a function against certified truth within derived bounds.

    ``value`` takes logits, and for a loss a target, as NumPy arrays or as the tensors of a framework: a function, a
    ``torch.nn.Module``, ``apply`` of a ``torch.autograd.Function``, a Keras ``Loss``, or anything else that can be
    called. ``framework`` is ``numpy``, ``torch``, ``jax`` or ``tensorflow``; left out, it is found out. Tensors come on
    the ``device``, in the dtype and the layout of each call; derivatives are those of the framework (``autodiff=False``
    leaves them out, ``outputs`` chooses some), unless ``grad`` or ``derivatives`` compute them. Of a function on NumPy
    arrays these are the only ones.

    Its arguments are ``x`` (logits; log-probabilities of nll_loss), ``target``, ``weight``, ``axis``, ``ignore_index``,
    ``reduction``, ``label_smoothing``, under these names or others that are usual (``dim``, ``y_true``, ``smoothing``);
    ``names`` says others, as ``{"target": "gold"}``. Calls that need what it does not take are not judged; the field
    ``asked`` of the report says in a line each what is asked and what is not. ``options`` names the options that it
    takes, if not all of its signature; ``out_dtype`` among them says that the function takes that keyword, a dtype
    wider than that of ``x`` for its result, which weights, probabilities and the cotangent then have as well.
    ``pick`` says which of several results is judged: an index, a name, or a function of what it returns.

    ``grad(x, cotangent, *, ...)`` takes the same options as keywords and returns the gradient with respect to ``x``.
    ``derivatives`` may hold ``jvp(x, tangent, ...)``, ``hvp(x, cotangent, tangent, ...)``,
    ``grad_target(x, cotangent, ...)``, ``mixed(x, cotangent, target_tangent, ...)`` and
    ``jvp_target(x, target_tangent, ...)``. ``defaults`` names options that may be left out, where that means the last
    axis, the mean, nothing ignored, no smoothing and no weights: they are left out in some calls.

    What the function takes is found out by trial calls where it is not declared: ``dtypes`` (bfloat16 of NumPy needs
    the package ml_dtypes), ``targets`` (``index``, ``probability``), ``reductions``, ``ranks`` (numbers of axes).
    ``max_classes`` is the largest number of classes, ``finite`` says that no logit is infinite or NaN, ``layouts`` are
    the layouts in memory, ``labels`` the dtypes of labels, ``ignore_index`` (or ``fixed_ignore_index``) is the one
    label that is ignored always; ``full_smoothing=False`` says that a smoothing of 1 is not taken,
    ``normalised_targets`` that probabilities must sum to 1. ``result_dtype`` is a dtype that results have where the
    logits have a narrower one.

    ``error_profiles`` maps a dtype to a declared error profile W, F, S or N; ``online`` declares partial sums that are
    rescaled when the running maximum grows. ``mean`` says what the reduction ``mean`` of index targets is if it does
    not divide by the weights of the labels: ``mean_over_rows`` (all rows) or ``mean_over_kept`` (those not ignored).
    ``wraps_negative_labels`` and ``zeroes_unknown_labels`` declare what labels out of range do, ``conventions`` what
    the function shows where the specification (section 4) leaves a choice, by clause and output, such as
    ``{("4", "value"): "nan"}``; what is not declared must be the same in every dtype.

    ``variant`` declares what the function adds to the op (docs/variants.md): a z-loss, soft-capping and a scale of the
    logits, a weight for each row. A part that it has an argument for is given there (``lse_square_scale``,
    ``logit_softcapping``, ``sample_weight`` and the like), another is one that it has built in. It is then asked calls
    of that variant, without relations and invalid input, and has a value and a gradient.

    ``memory="O(N)"`` promises that a loss takes no memory for each logit beyond its input and the gradient that it
    returns, as fused ones do: it is asked tensors of up to 94 million logits, and fails if it keeps half a byte or more
    for each (docs/giant.md).

    With ``isolate`` the function runs in a process of its own, which imports it by the name that it has in its module
    or file: what crashes, hangs or eats the memory costs that call. A call takes at most ``timeout`` seconds; in this
    process that ends Python code alone.

    ``deck`` (``smoke``, ``default`` or ``full``) and ``seed`` choose the calls and the relations, or ``calls`` replaces
    them: those of a report's failures, as their field ``call`` has them. Answers to invalid and to empty input (labels
    out of range, no rows) are judged, too: an exception is right for the invalid ones, a silent number is not. A
    function whose callers have checked all that is judged with ``errors=False``.

    With ``explore`` so many calls are drawn besides, of any shape, option, layout and kind of logits; the first that
    fails is shrunk to a small one, which is the last of the failures. That takes hypothesis, the extra ``explore``.

    With ``cache`` an answer of the same bits that was judged before on this machine is not judged again, but for a
    sample; those of drawn calls always are.

    Raises :class:`UsageError` for what is no function, for arguments that no operation has, for an unknown name of any
    kind, for a framework that is not installed, for a deck without a call of that op and those dtypes, and for calls
    that are none. A report of which nothing was judged is not ``ok``; what was left out is in its ``left_out``.
    """
    declared = Declaration(
        op=op,
        grad=grad,
        derivatives=derivatives or {},
        autodiff=autodiff,
        outputs=_some(outputs),
        name=name,
        framework=framework,
        device=device,
        names=names,
        pick=pick,
        dtypes=_some(dtypes),
        options=_some(options),
        targets=_some(targets),
        reductions=_some(reductions),
        ranks=_some(ranks),
        max_classes=max_classes,
        finite=finite,
        layouts=_some(layouts),
        labels=_some(labels),
        result_dtype=result_dtype,
        error_profiles=error_profiles or {},
        online=online,
        mean=mean,
        normalised_targets=normalised_targets,
        full_smoothing=full_smoothing,
        ignore_index=fixed_ignore_index if ignore_index is None else ignore_index,
        wraps_negative_labels=wraps_negative_labels,
        zeroes_unknown_labels=zeroes_unknown_labels,
        conventions=conventions or {},
        variant=variant,
        defaults=tuple(defaults),
        memory=memory,
        isolate=isolate,
        timeout=timeout,
    )
    asked = Questions(deck=deck, seed=seed, calls=calls, errors=errors, explore=explore, cache=cache)
    return check_function(value, declared, asked)


def _some(given: Iterable[Any] | None) -> tuple[Any, ...] | None:
    return None if given is None else tuple(given)
