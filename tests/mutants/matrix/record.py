"""The record of kills: for each mutant and dtype the calls that kill it, which are all that is put to it in CI.

``killers.json`` is written by ``python -m tests.mutants --record``. It decides nothing: a mutant is killed if the calls
kill it now, and what the record lacks or has wrong is an error that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossproof.cases.families import FAMILIES
from lossproof.core.case_id import CONVENTION
from tests.mutants.kit.mutant import Mutant

from .kill import Key, Kill, Matrix, label_of, made_for, tells

PATH = Path(__file__).parent / "killers.json"
COMMAND = "python -m tests.mutants --record"
_NOTE = (
    f"Written by `{COMMAND}`. Killers: by mutant and dtype, the label and the digest of calls of the default deck that "
    "kill it; after 'convention', what the same calls of several dtypes have in common that show it. Witnesses: by "
    "family, a mutant and a dtype in which the family kills it and no ordinary call does."
)
# The family that others are compared with.
YARDSTICK = "ordinary"
# Killers that are recorded, of different labels where there are such, besides those of the families made for it.
_ENOUGH = 2


@dataclass(frozen=True)
class Record:
    """By mutant and dtype the references of the calls that kill it, and by family a mutant that only it kills.

    A reference of the label ``convention`` is no call's: it names what calls of several dtypes have in common.
    """

    killers: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    witnesses: Mapping[str, Key] = field(default_factory=dict)

    def of(self, key: Key) -> Sequence[str]:
        """What kills a mutant in a dtype."""
        return self.killers.get(key[0], {}).get(key[1], ())

    def labels(self, mutant: Mutant) -> list[str]:
        """The labels of all that kills a mutant, those of most dtypes first."""
        count: dict[str, int] = {}
        for dtype in mutant.dtypes:
            for label in dict.fromkeys(map(label_of, self.of((mutant.id, dtype)))):
                count[label] = count.get(label, 0) + 1
        return sorted(count, key=lambda name: (-count[name], name))


def read(path: Path = PATH) -> Record:
    """The record as it was written; an empty one where there is none."""
    if not path.exists():
        return Record()
    given = json.loads(path.read_text(encoding="utf-8"))
    return Record(given["killers"], {family: (key[0], key[1]) for family, key in given["witnesses"].items()})


def text(record: Record) -> str:
    """The record as it is written, a line for each mutant."""
    return "\n".join(
        [
            "{",
            f' "note": {json.dumps(_NOTE)},',
            ' "witnesses": {',
            ",\n".join(f"  {json.dumps(f)}: {json.dumps(list(key))}" for f, key in sorted(record.witnesses.items())),
            " },",
            ' "killers": {',
            ",\n".join(f"  {json.dumps(name)}: {json.dumps(of)}" for name, of in sorted(record.killers.items())),
            " }",
            "}\n",
        ]
    )


def chosen(mutant: Mutant, kill: Kill, shared: Sequence[str]) -> list[str]:
    """Of the calls that kill a mutant those that are recorded: one of each family made for it, and two of different
    labels if there are. ``shared`` are the conventions that it does not show alike, which kill it if no call does."""
    if not kill.killers:
        return [f"{CONVENTION} {alike}" for alike in shared[:1]]
    by_label: dict[str, list[str]] = {}
    for reference in kill.killers:
        by_label.setdefault(label_of(reference), []).append(reference)
    own = [name for name in made_for(mutant) if name in by_label]
    labels = [*own, *(name for name in by_label if name not in own)][: max(_ENOUGH, len(own))]
    found = [by_label[name][0] for name in labels]
    return found + by_label[labels[0]][1 : 1 + _ENOUGH - len(found)]


def troubles(mutants: Mapping[str, Mutant], record: Record, kills: Matrix) -> dict[str, str]:
    """By mutant, what of its record does not hold."""
    found: dict[str, list[str]] = {}
    for m in mutants.values():
        for dtype in m.expect:
            key = (m.id, dtype)
            recorded, kill = record.of(key), kills.get(key, Kill())
            idle = [r for r in recorded if not _kills(r, kill)]
            if not recorded:
                found.setdefault(m.id, []).append(f"no call that kills it in {dtype} is recorded")
            elif idle:
                found.setdefault(m.id, []).append(f"recorded and does not kill it in {dtype}: {', '.join(idle)}")
    return {name: "; ".join(lines) for name, lines in found.items()}


def _kills(reference: str, kill: Kill) -> bool:
    return (label_of(reference) == CONVENTION and CONVENTION in kill.families) or reference in kill.killers


def _wrong_with_witness(mutants: Mapping[str, Mutant], record: Record, family: str, kills: Matrix) -> str:
    """What is wrong with the witness of a family, if anything: ``kills`` has all ordinary calls that it takes."""
    if family not in record.witnesses:
        return f"no mutant is recorded that {family} kills and ordinary calls do not"
    key = record.witnesses[family]
    kill, mutant = kills.get(key, Kill()), mutants.get(key[0])
    if mutant is None:
        return f"{key[0]} is no mutant"
    if not tells(mutant, family):
        return f"{key[0]} is killed by {family} by chance: it takes weights or ignore_index"
    if family not in kill.families:
        return f"{family} does not kill {key[0]} in {key[1]}"
    if YARDSTICK in kill.families:
        return f"ordinary calls kill {key[0]} in {key[1]}"
    return ""


def witness_troubles(mutants: Mapping[str, Mutant], record: Record, kills: Matrix) -> dict[str, str]:
    """By family, what is wrong with its witness. Ordinary logits are the yardstick, and need none."""
    found = {f: _wrong_with_witness(mutants, record, f, kills) for f in FAMILIES if f != YARDSTICK}
    return {family: text for family, text in found.items() if text}
