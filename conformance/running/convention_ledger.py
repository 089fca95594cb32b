"""Consistency of conventions: what a may-clause leaves open, an adapter decides once (specification, section 4).

The deck draws the same special values in every dtype, so conventions are compared call by call: the same call in
another dtype, mode or device of the adapter must show the same behaviour. Where the adapter declares what it intends,
every call must show that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR, CaseId
from lossproof.core.clauses import EXEMPT
from lossproof.core.observation import Observation

# Targets do not depend on the format, so the gradient of unnormalised ones is compared in every family. In families of
# finite logits the other clauses speak of results at the edge of a format's range.
ANYWHERE = frozenset({"3"})
# Verdicts on answers that are within what is allowed, whatever waivers make of them. A wrong answer follows no
# convention: what it shows of a clause is what it happens to be.
_WITHIN = frozenset({"pass", "convention", "suspect", "unexpected_pass"})


def is_compared(clause: str, call: Call) -> bool:
    """Say whether what a call shows of a clause must be the same in every dtype, mode and device."""
    f = FAMILIES.get(call.family)
    invalid = call.is_check and call.family == ERROR
    special = invalid or (f is not None and not f.regular)
    return clause not in EXEMPT and (special or clause in ANYWHERE)


def alike(call: Call) -> str:
    """Return what a call has in common with the same call in another dtype."""
    return f"{call.case.family}/{call.case.detail}"


@dataclass
class Ledger:
    """Conventions that one adapter has shown, ``seen[key][where] = shown``, and those that it declares."""

    adapter: str
    declared: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    seen: dict[tuple[str, str, str, str], dict[str, str]] = field(default_factory=dict)
    answers: dict[tuple[str, str, str], dict[str, set[str]]] = field(default_factory=dict)

    def add(self, call: Call, o: Observation) -> None:
        """Take note of an observation, unless its answer is wrong."""
        if o.verdict not in _WITHIN:
            return
        same = alike(call)
        for clause, shown in o.conventions.items():
            if is_compared(clause, call) and not _is_refused_gradient(clause, o, shown):
                where = f"{call.outline.dtype} on {o.target}"
                either = _compared(clause, o, shown)
                self.seen.setdefault((clause, call.outline.op, o.output, same), {})[where] = either
                if either != shown:
                    kinds = self.answers.setdefault((clause, call.outline.op, o.output), {})
                    kinds.setdefault(shown.partition(":")[0], set()).add(o.target)

    def verdicts(self) -> Iterator[Observation]:
        """One observation for each clause, op and output: a failure names the first call that contradicts what is
        declared, or else the first one that differs."""
        strays: dict[tuple[str, str, str], str] = {}
        apart: dict[tuple[str, str, str], str] = {}
        for (clause, op, output, same), shown in self.seen.items():
            key = (clause, op, output)
            intended = self.declared.get(key)
            stray = (
                {} if intended is None else {where: how for where, how in shown.items() if not _within(how, intended)}
            )
            if stray:
                strays.setdefault(key, f"contradicts the declared {intended!r}: {_said(same, stray)}")
            elif len(set(shown.values())) > 1:
                apart.setdefault(key, f"shows different conventions: {_said(same, shown)}")
        for clause, op, output in dict.fromkeys(key[:3] for key in self.seen):
            key = (clause, op, output)
            text = strays.get(key) or apart.get(key, "")
            message = f"{op}: {output}, clause {clause}, {text}" if text else ""
            case = CaseId.of_convention(op, clause, output)
            told = Observation(str(case), output, self.adapter, "fail" if text else "pass", message=message)
            yield told if text else self._answers_apart(key, told)

    def _answers_apart(self, key: tuple[str, str, str], told: Observation) -> Observation:
        """Where an unknown label is an error in one place and NaN in another: recorded and listed, no failure."""
        kinds = self.answers.get(key, {})
        if len(kinds) < 2:
            return told
        shown = "; ".join(f"{kind} on {', '.join(sorted(where))}" for kind, where in sorted(kinds.items()))
        message = f"{key[1]}: {key[2]}, clause {key[0]}: an unknown label is {shown}"
        return replace(told, verdict="convention", conventions={key[0]: "|".join(sorted(kinds))}, message=message)


def _within(shown: str, declared: str) -> bool:
    return set(shown.split("|")) <= set(declared.split("|"))


def _said(same: str, shown: Mapping[str, str]) -> str:
    return f"{same} shows " + "; ".join(f"{how} in {where}" for where, how in shown.items())


def _is_refused_gradient(clause: str, o: Observation, shown: str) -> bool:
    """Whether the gradient of an unknown label is an error, as the value is that says so in the ledger already."""
    return clause == "13" and o.output != "value" and shown.startswith("error:")


def _compared(clause: str, o: Observation, shown: str) -> str:
    """Whether an unknown label is an error or NaN is recorded as found; that it is either must be the same. What is
    wrong with logits that have no classes is for each kernel to say: it must be an error everywhere, of any kind."""
    refused = shown.startswith("error:")
    if clause == "10" and refused:
        return "an error"
    either = clause == "13" and o.output == "value" and (shown == "nan" or refused)
    return "an error or NaN" if either else shown
