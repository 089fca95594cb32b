"""A reproducer as a report to the authors of a framework, in Markdown."""

from __future__ import annotations

from lossproof.adapters.outputs import TABLE
from lossproof.records.waivers import Waiver, symptom
from lossproof.repro.program import Reproducer

_SPECIFICATION = "docs/specification.md"
_LEFT_OPEN = "The specification leaves open which of several results there is, but not that it depends on the dtype."
_HOW = {
    "inaccurate": "is inaccurate",
    "nonfinite": "is not finite",
    "finite": "is finite where it must not be",
    "error": "is not what is expected",
    "memory": "takes memory for each logit",
    "crash": "crashes the process",
    "timeout": "does not come to an end",
    "resource": "needs too much memory",
}


def issue(r: Reproducer, waiver: Waiver | None) -> str:
    """Write the report of a reproducer: title, what is wrong, expected, observed, versions, reference, program.

    The mechanism and the issue come from the ``waiver`` that explains the finding, if there is one.
    """
    o, p, entry = r.observation, r.call.problem, r.entry
    how = _HOW.get(symptom(o) or o.verdict, "is right") if r.shows else "is right"
    output = TABLE[o.output]
    name = f"{output.words} of {p.op}" if output.order else p.op
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
    output = TABLE[r.observation.output]
    formula = output.formulas[r.call.problem.op]
    special = ", section 4 for special values" if r.entry is None or r.entry.is_special else ""
    return f"`{formula}` ({_SPECIFICATION}, section {output.section}{special})"
