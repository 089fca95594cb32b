"""The explanation of one case in words and numbers, a target's answer to it, and a script without lossproof.

``lossproof explain ID`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossproof.adapters.protocol import ARRAYS, Outcome, Problem
from lossproof.cases.families import FAMILIES
from lossproof.core.batch import flat
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.core.operations import solved_by
from lossproof.core.profiles import default_profile
from lossproof.judging.check import Check
from lossproof.judging.messages import multiple
from lossproof.records.waivers import waivers_in_force
from lossproof.repro.explain_check import check_lines
from lossproof.running.loop import run
from lossproof.targets.capture import listen
from lossproof.targets.target import Target
from lossproof.truth.truth import Truth, truth

ENTRIES = 16
_MEANING = {
    "softmax": "p = softmax of the logits",
    "log_softmax": "log p, the logarithm of softmax of the logits",
    "nll_loss": "negative log-likelihood of the labels under given log-probabilities",
    "cross_entropy": "cross-entropy of the targets under softmax of the logits",
}


def lines(call: Call, target: Target | None, *, full: bool = False) -> Iterator[str]:
    """Write the explanation of a call, line by line; with a ``target`` also what it answers.

    Arrays of more than ``ENTRIES`` entries are cut short unless ``full``.
    """
    if isinstance(call, Check):
        yield from check_lines(call, target, _array, full=full)
        return
    p = call.problem
    yield f"{call.id}"
    yield f"  {_MEANING.get(p.op, p.op)}, {p.dtype}{_options(p)}"
    family = FAMILIES.get(call.family)
    yield f"  family {call.family}: {family.provokes if family else call.provenance or 'not of the deck'}"
    if call.provenance:
        yield f"  from: {call.provenance}"
    yield ""
    yield "Inputs (decimal digits that round to the value, and exactly in hexadecimal)"
    for name in ARRAYS:
        yield from _array(name, getattr(p, name), full)
    exact = truth([solved_by(p, target.capabilities.mean) if target else p])
    answer: Outcome | None = None
    observations: list[Observation] = []
    if target is not None:
        ear = listen(target)
        marks = waivers_in_force([target])
        observations = [marks.mark(o) for o in run([ear], [call])]
        answer = ear.heard[0]
    for name in exact.expected:
        yield ""
        yield from _output(
            exact, name, p, answer, target, next((o for o in observations if o.output == name), None), full
        )
    if target is None:
        yield ""
        yield "Add --target T, or file.py:FUNCTION, for its answer and verdict, and a script without lossproof."
        return
    yield ""
    yield from _script(target, p)


def _options(p: Problem) -> str:
    parts = [f"axis {p.axis} of {p.x.shape}"]
    if p.is_loss:
        parts.append(f"reduction {p.reduction}")
        parts.append("probability targets" if p.has_probability_target else "index targets")
    if p.label_smoothing:
        parts.append(f"label_smoothing {p.label_smoothing!r}")
    if p.ignore_index is not None:
        parts.append(f"ignore_index {p.ignore_index}")
    if p.weight is not None:
        parts.append("class weights")
    if p.omit:
        parts.append("arguments left to their defaults")
    if p.layout != "contiguous":
        parts.append(f"layout {p.layout} of {p.laid or 'logits and cotangent'}")
    for part in p.variant_parts:
        parts.append("weights of rows" if part in ARRAYS else f"{part} {getattr(p, part)!r}")
    if p.out_dtype is not None:
        parts.append(f"computed in and returned as {p.out_dtype}")
    return ", " + ", ".join(parts)


def _array(name: str, a: np.ndarray | None, full: bool) -> Iterator[str]:
    if a is None:
        return
    yield f"  {name} {a.shape}"
    flat = a.reshape(-1)
    shown = flat if full else flat[: 2 * ENTRIES]
    row = a.shape[-1] if a.ndim else 1
    step = row if row <= 10 else 8
    for start in range(0, len(shown), step):
        some = shown[start : start + step]
        if a.dtype.kind == "f":
            yield f"    {', '.join(f'{float(v)!r}' for v in some)}    = {' '.join(float(v).hex() for v in some)}"
        else:
            yield f"    {', '.join(str(int(v)) for v in some)}"
    if len(shown) < len(flat):
        yield f"    ... {len(flat) - len(shown)} more (--full)"


def _output(
    exact: Truth,
    name: str,
    p: Problem,
    answer: Outcome | None,
    target: Target | None,
    o: Observation | None,
    full: bool,
) -> Iterator[str]:
    expected = exact.expected[name].exact
    inner = expected.mid.shape[1:]
    size = int(np.prod(inner))
    profiles = list(dict.fromkeys(("W", default_profile(p.result_dtype))))
    declared = target.declared(p.op, p.result_dtype) if target else None
    profile = declared.profile if declared else default_profile(p.result_dtype)
    profiles += [profile] if profile not in profiles else []
    online = declared.online if declared else False
    allowed = {q: exact.allowed(q, online=online).outputs[name][0].reshape(-1) for q in profiles}
    got = None
    if answer is not None and name in answer.outputs:
        got = flat(answer.outputs[name].data, p).reshape(-1)
        got = got if got.shape == (size,) else None
    order = np.arange(size)
    if got is not None and size > ENTRIES:
        with np.errstate(all="ignore"):
            distance = np.abs(got - expected.mid[0].reshape(-1)) / allowed[profile]
        # NaN (a missing or special value) sorts as the worst.
        order = np.argsort(-np.nan_to_num(distance, nan=np.inf), kind="stable")
    shown = order if full else order[:ENTRIES]
    yield f"{name}: exact result in [lo, hi], allowed error per profile" + (
        " (declared: " + profile + ")" if target else ""
    )
    for i in shown:
        at = tuple(int(v) for v in np.unravel_index(int(i), inner))
        lo, hi = expected.ends((0, *at))
        truth_text = f"{lo:.17g}" if lo == hi or np.isnan(lo) else f"[{lo:.17g}, {hi:.17g}]"
        bounds = "  ".join(f"{q} {a[i]:.3g}" for q, a in allowed.items())
        yield f"  [{', '.join(map(str, at))}] {truth_text}  allowed {bounds}" + (
            f"  got {got[i]:.17g} = {got[i].hex()}" if got is not None else ""
        )
    if len(shown) < size:
        yield f"  ... {size - len(shown)} more entries (--full)" + (", worst first above" if got is not None else "")
    if o is not None:
        waived = f" (waiver {o.waiver})" if o.waiver else ""
        figures = f", {multiple(o.share)}" if o.exact is not None else ""
        # Of a derivative that cancels, spacings around the exact result say nothing.
        figures += f", {o.ulp:.3g} ulp" if figures and name == "value" and np.isfinite(o.ulp) else ""
        yield f"  {o.target}: {o.verdict}{waived}{figures}" + (
            f", conventions {o.conventions}" if o.conventions else ""
        )
        if o.message:
            yield f"  {o.message}"


def _script(target: Target, p: Problem) -> Iterator[str]:
    try:
        text = target.script(p)
    except (NotImplementedError, UsageError) as error:
        yield f"No script for {target.adapter.name}" + (f": {error}" if str(error) else "")
        return
    yield f"Script ({target.adapter.name} only)"
    yield ""
    yield from text.splitlines()
