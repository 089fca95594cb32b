"""A reproducer as a report to the authors of a framework, in Markdown."""

from __future__ import annotations

from lossproof.records.waivers import Waiver, symptom
from lossproof.repro.program import Reproducer

_SPECIFICATION = "docs/specification.md"
# What each output is, in the notation of the specification: x logits, p = softmax, w weights, q targets, q' smoothed,
# g the cotangent of a row over the denominator of its mean, Q = sum w q', v a cotangent or a direction, u one in q.
FORMULAS = {
    ("softmax", "value"): ("2", "p_j = exp(x_j - max x) / sum_k exp(x_k - max x)"),
    ("log_softmax", "value"): ("2", "log p_j = x_j - max x - log sum_k exp(x_k - max x)"),
    ("nll_loss", "value"): ("2", "l_n = -w_y x[n, y], then the reduction; mean divides by the sum of w_y"),
    ("cross_entropy", "value"): (
        "2",
        "l_n = -sum_j w_j q'_j log p_j with q' = (1 - eps) q + eps/K, then the reduction",
    ),
    ("softmax", "vjp"): ("3", "p_i (v_i - sum_j p_j v_j)"),
    ("log_softmax", "vjp"): ("3", "v_i - p_i sum_j v_j"),
    ("nll_loss", "vjp"): ("3", "-w_y g at the target entry, 0 elsewhere"),
    ("cross_entropy", "vjp"): ("3", "g (Q p_i - w_i q'_i) with Q = sum_j w_j q'_j"),
    ("cross_entropy", "grad_target"): ("3", "-(1 - eps) g w_j log p_j"),
    ("softmax", "jvp"): ("3", "p_i (v_i - sum_j p_j v_j)"),
    ("log_softmax", "jvp"): ("3", "v_i - sum_j p_j v_j"),
    ("nll_loss", "jvp"): ("3", "per row -w_y v_y, then the reduction"),
    ("cross_entropy", "jvp"): ("3", "per row sum_i (Q p_i - w_i q'_i) v_i, then the reduction"),
    ("cross_entropy", "jvp_target"): ("3", "per row -(1 - eps) sum_j w_j u_j log p_j, then the reduction"),
    ("log_softmax", "hvp"): ("3", "-(sum c) p_i (v_i - sum_j p_j v_j) for a cotangent c"),
    ("nll_loss", "hvp"): ("3", "0"),
    ("cross_entropy", "hvp"): ("3", "g Q p_i (v_i - sum_j p_j v_j)"),
    ("cross_entropy", "mixed"): ("3", "g (1 - eps) (p_i sum_j w_j u_j - w_i u_i)"),
}
_LEFT_OPEN = "The specification leaves open which of several results there is, but not that it depends on the dtype."
_HOW = {
    "inaccurate": "is inaccurate",
    "nonfinite": "is not finite",
    "finite": "is finite where it must not be",
    "error": "is not what is expected",
    "crash": "crashes the process",
    "timeout": "does not come to an end",
    "resource": "needs too much memory",
}


def issue(r: Reproducer, waiver: Waiver | None) -> str:
    """The report: title, what is wrong, expected, observed, versions, program, reference."""
    o, p, entry = r.observation, r.call.problem, r.entry
    how = _HOW.get(symptom(o) or o.verdict, "is right") if r.shows else "is right"
    name = {"value": p.op, "vjp": f"gradient of {p.op}"}.get(o.output, f"{o.output} of {p.op}")
    at = f" at `[{', '.join(map(str, entry.index))}]`" if entry and entry.index else ""
    expected = entry.described if entry else "an error, as the input is invalid"
    if r.differs:
        how, at, expected = "follows no one convention", "", "the same in every dtype, mode and device"
    facts = r.target.describe()
    versions = [f"{k} {v}" for k, v in facts.versions.items()]
    where = f"{r.target.mode} mode on {r.target.device}"
    lines = [f"# {name} in {' and '.join(r.differs) or p.dtype} {how}", ""]
    if waiver:
        lines += [f"{waiver.reason[:1].upper()}{waiver.reason[1:]}.", ""]
    certified = f"The exact result is certified by interval arithmetic for exactly these inputs ({where})."
    lines += [_LEFT_OPEN if r.differs else certified, ""]
    lines += [f"- Output: `{o.output}`{at}", f"- Expected: {expected}"]
    lines.append(f"- Observed: {_observed(r)}")
    if entry and not entry.is_special and o.share and o.share != float("inf"):
        lines.append(f"- Error: {o.share:.3g} times what roundings explain (error profile {entry.profile})")
    lines += [f"- Versions: {', '.join(versions)}", f"- Reference: {_reference(r)}"]
    if waiver:
        lines.append(f"- Related: {waiver.issue}")
    lines += ["", "This program exits with 1 while the defect shows:", "", "```python", r.text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _observed(r: Reproducer) -> str:
    o = r.observation
    return f"`{o.got!r}`" if o.got is not None else _quoted(o.message)


def _quoted(text: str) -> str:
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def _reference(r: Reproducer) -> str:
    p, output = r.call.problem, r.observation.output.replace("_again", "")
    section, formula = FORMULAS.get((p.op, output), ("4", ""))
    special = ", section 4 for special values" if r.entry is None or r.entry.is_special else ""
    return f"`{formula}` ({_SPECIFICATION}, section {section}{special})" if formula else f"{_SPECIFICATION}, section 4"
