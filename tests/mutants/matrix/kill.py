"""Kills: what calls make of mutants, and what follows from all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lossproof.adapters.protocol import Problem
from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.observation import FAILING, Observation
from lossproof.judging.check import Check
from lossproof.running.convention_ledger import Ledger
from tests.mutants.kit.mutant import Mutant

from .places import Found

Seen = dict[tuple[str, str, str, str], dict[str, str]]
# A mutant, by its id, in a dtype.
Key = tuple[str, str]


def label(call: Call) -> str:
    """A call's family; of a check its name as well."""
    return f"{call.family} {call.name}" if isinstance(call, Check) else call.family


def reference(call: Call) -> str:
    """What tells a call from others of its op and dtype: its label and its digest."""
    return f"{label(call)} {call.digest}"


def label_of(reference: str) -> str:
    """The label in a reference."""
    return reference.rpartition(" ")[0]


@dataclass
class Kill:
    """What calls make of one mutant in one dtype: outputs judged and failing, failing outputs by label.

    ``worst`` is the largest share of the bound, infinite where a special value is wrong; ``message`` belongs to it.
    ``seen`` are the conventions shown, ``differing`` counts outputs that differ from the parent's in any bit,
    ``killers`` are the references of the calls that fail in any output.
    """

    judged: int = 0
    failing: int = 0
    worst: float = 0.0
    message: str = ""
    families: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=dict)
    differing: Counter[str] = field(default_factory=Counter)
    killers: list[str] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        """Whether any output failed."""
        return self.failing > 0

    @property
    def calls(self) -> int:
        """The number of calls that fail in any output."""
        return len(self.killers)

    def add(self, other: Kill) -> None:
        """Merge the result of other calls."""
        if other.worst >= self.worst and other.message:
            self.message = other.message
        self.judged += other.judged
        self.failing += other.failing
        self.worst = max(self.worst, other.worst)
        self.families.update(other.families)
        self.seen |= other.seen
        self.differing.update(other.differing)
        self.killers += other.killers

    def note(self, f: Found, ledger: Ledger) -> None:
        """Take note of one output."""
        self.judged += 1
        if f.conventions:
            ledger.add(f.call, Observation(f.call.id, f.output, ledger.adapter, "pass", conventions=f.conventions))
        if f.failed:
            self.failing += 1
            self.families[f.call.family] += 1
            if f.share >= self.worst:
                self.message = f.message
        self.worst = max(self.worst, f.share)


Matrix = dict[Key, Kill]


def takes(mutant: Mutant, p: Problem) -> bool:
    """Whether a call is within a mutant's options; the engine would only count it as unsupported."""
    if p.op != mutant.op or p.dtype not in mutant.dtypes:
        return False
    if not p.is_loss:
        return True
    kind = "probability" if p.has_probability_target else "index"
    used = {
        "weight": p.weight is not None,
        "ignore_index": p.ignore_index is not None,
        "label_smoothing": p.label_smoothing > 0,
        "reduction": p.reduction != "mean",
    }
    return kind in mutant.targets and all(name in mutant.options for name, is_used in used.items() if is_used)


def goes_everywhere(mutant: Mutant) -> bool:
    """Whether every call says something of a mutant: of controls, and of those that a clause allows."""
    return mutant.kind == "control" or bool(mutant.allowed)


def gather(result: Matrix, part: Matrix) -> None:
    """Merge what became of mutants in another part of the deck."""
    for key, kill in part.items():
        result.setdefault(key, Kill()).add(kill)


def unequal_conventions(result: Matrix) -> None:
    """A convention that is not the same in all dtypes fails in each of them."""
    ledgers: dict[str, Ledger] = {}
    for (name, _), kill in result.items():
        ledger = ledgers.setdefault(name, Ledger(name))
        for key, shown in kill.seen.items():
            ledger.seen.setdefault(key, {}).update(shown)
    for (name, _), kill in result.items():
        for o in ledgers[name].verdicts():
            if o.verdict in FAILING:
                kill.add(Kill(1, 1, 0.0, o.message, Counter([CONVENTION])))
                kill.message = kill.message or o.message


def unlike(name: str, result: Matrix) -> list[str]:
    """What calls of different dtypes have in common on which a mutant shows different conventions, in order."""
    seen: Seen = {}
    for (other, _), kill in result.items():
        if other == name:
            for key, shown in kill.seen.items():
                seen.setdefault(key, {}).update(shown)
    return list(dict.fromkeys(key[3] for key, shown in seen.items() if len(set(shown.values())) > 1))


def families(mutant: Mutant, kills: Matrix) -> list[str]:
    """Labels of failing calls in any dtype, the most frequent first."""
    total = Kill()
    for dtype in mutant.dtypes:
        total.families.update(kills.get((mutant.id, dtype), Kill()).families)
    return [name for name, _ in sorted(total.families.items(), key=lambda item: (-item[1], item[0]))]


def weak(mutants: Mapping[str, Mutant], matrix: Matrix) -> dict[str, str]:
    """Mutants whose kill hangs on one call in all dtypes together, with what it says."""
    found: dict[str, Kill] = {}
    for (name, _), kill in matrix.items():
        if mutants[name].kind == "mutant" and not mutants[name].allowed:
            found.setdefault(name, Kill()).add(kill)
    return {name: kill.message for name, kill in found.items() if kill.calls == 1}


def made_for(mutant: Mutant) -> list[str]:
    """The families that were made for a mutant."""
    return [name for name in mutant.family.split(", ") if name]


def tells(mutant: Mutant, family: str) -> bool:
    """Whether a mutant that a family kills and ``ordinary`` does not says anything of the family's logits.

    Weights and ignore_index are drawn anew for each call, so that it may be they that make the difference; not so for
    the family that the mutant was made for.
    """
    by_chance = {"weight", "ignore_index"} & mutant.options
    return mutant.kind == "mutant" and (not by_chance or family in made_for(mutant))


def distinct(mutants: Mapping[str, Mutant], matrix: Matrix) -> dict[str, list[Key]]:
    """Family -> the mutants that it kills, in some dtype in which no ``ordinary`` call of the matrix does."""
    result: dict[str, list[Key]] = {name: [] for name in FAMILIES}
    for key, kill in matrix.items():
        if "ordinary" not in kill.families:
            for family in kill.families:
                if tells(mutants[key[0]], family):
                    result.setdefault(family, []).append(key)
    return {family: sorted(keys) for family, keys in result.items()}


def verdicts(mutants: Mapping[str, Mutant], found: Matrix) -> list[str]:
    """Everything that is not as expected, in words."""
    lines = []
    for m in mutants.values():
        lines += [f"{m.id} {dtype}: {text}" for dtype, text in unexpected(m, found).items()]
        if m.allowed and not any(found[m.id, dtype].differing for dtype in m.dtypes if (m.id, dtype) in found):
            lines.append(f"{m.id}: cannot be told from its parent {m.reference}")
    return lines


def unexpected(m: Mutant, found: Matrix) -> dict[str, str]:
    """By dtype, what became of a mutant that should not."""
    lines = {}
    for dtype in m.dtypes:
        kill = found.get((m.id, dtype), Kill())
        if not kill.judged:
            lines[dtype] = "no call of the deck applies"
        elif m.kind == "control" and kill.killed:
            lines[dtype] = f"a control is killed: {kill.message}"
        elif m.allowed and kill.killed:
            lines[dtype] = f"is killed although {m.allowed} allows it: {kill.message}"
        elif dtype in m.expect and not kill.killed:
            lines[dtype] = f"survives, worst {kill.worst:.3g} of the bound in {kill.judged} outputs ({m.why})"
    return lines


def merged(parts: Iterable[Matrix]) -> Matrix:
    """One matrix of several parts of the deck, with what they say together."""
    result: Matrix = {}
    for part in parts:
        gather(result, part)
    unequal_conventions(result)
    return result
