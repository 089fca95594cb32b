"""Whether every line of a comparison is true: the scripts of its cases, run in both environments without lossproof.

``python -m tests.support.reproduced FOLDER`` takes the records that ``lossproof upgrade --keep FOLDER`` has left, whose
environments must still be there, and prints a line for each line of the comparison.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lossproof.adapters.protocol import OUTPUTS
from lossproof.cases.catalogue import select
from lossproof.cli.commands.diff import diff_records
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION, CaseId
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.judging.check import Check
from lossproof.records import record
from lossproof.records.record import json_ready
from lossproof.targets import selection
from lossproof.targets.environments.store import interpreter
from lossproof.targets.target import Target


@dataclass(frozen=True)
class Line:
    """One line of a comparison: the case that it names."""

    id: str
    output: str
    target: str
    what: str


@dataclass(frozen=True)
class Answer:
    """What a script printed, by output, or the last line of its traceback."""

    outputs: dict[str, list[float] | float]
    error: str = ""


def lines(before: str, after: str, pairs: Sequence[str]) -> Iterator[Line]:
    """The first case of each group of changes, and the one that moved most of each shift."""
    diff = diff_records(before, after, pairs)
    for group in diff.groups:
        c = group.first
        yield Line(c.id, c.output, c.target, f"{c.kind}: {c.clause} {c.before} to {c.after}")
    for p in diff.profiles:
        yield Line(p.first, "", p.target, f"profile {p.before} to {p.after}")
    for s in diff.shifts:
        yield Line(s.mover, s.output, s.target, f"{s.bits} differ in bits")


@cache
def ran(python: str, script: str) -> Answer:
    """The answer of a script in an environment."""
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False, timeout=1800)
    printed = [line.partition(" ") for line in done.stdout.splitlines()]
    # The names that Python prints and JSON reads.
    named = {n: text.replace("nan", "NaN").replace("inf", "Infinity") for n, _, text in printed if n in OUTPUTS}
    outputs = {name: json.loads(text) for name, text in named.items()}
    return Answer(outputs, done.stderr.strip().splitlines()[-1] if done.returncode else "")


def entry(output: list[float] | float, index: Sequence[int]) -> float:
    for i in index:
        assert isinstance(output, list)
        output = output[i]
    assert isinstance(output, float)
    return output


def shown(line: Line, call: Call, targets: Sequence[Target], said: Sequence[Observation | None]) -> str:
    """Empty if the scripts show that both sides differ, and print what either record has; else what is wrong."""
    calls = call.calls if isinstance(call, Check) else (call,)
    sides: list[list[Answer]] = []
    for target, o in zip(targets, said, strict=True):
        scripts = []
        for c in calls:
            try:
                scripts.append(target.script(c.problem))
            except UsageError as error:
                return f"no script: {error}"
        answers = [ran(str(interpreter(target.environment)), script) for script in scripts]
        sides.append(answers)
        if o is None or isinstance(call, Check) or o.got is None or line.output not in answers[0].outputs:
            continue
        printed = entry(answers[0].outputs[line.output], o.index)
        if str(json_ready(printed)) != str(json_ready(o.got)):
            return f"{target.name} prints {printed!r} at {o.index}, its record has {o.got!r}"
    # As texts: -0.0 equals 0.0 as a number, and NaN does not equal itself.
    return "" if repr(sides[0]) != repr(sides[1]) else "both sides print the same"


def unshown(before: str, after: str, *, deck: str = "default") -> Iterator[tuple[Line, str]]:
    """Every line, with what is wrong about it."""
    names = [list(record.read_record(path).header["targets"]) for path in (before, after)]
    pairs = [f"{a}={b}" for a, b in zip(*names, strict=True)]
    partners = dict(zip(*names, strict=True))
    told = list(lines(before, after, pairs))
    wanted = {line.id for line in told}
    known = [{(o.target, o.id, o.output): o for o in record.read_record(p) if o.id in wanted} for p in (before, after)]
    by_id = {c.id: c for c in select(deck, 0, (), (), ())}
    started = {t.name: t for t in selection.choose_targets([n for side in names for n in side], selection.PROCESSES)}
    try:
        for line in told:
            if CaseId.parse(line.id).family == CONVENTION:
                continue  # what is said of all cases together has no script of its own
            both = (line.target, partners[line.target])
            said = [side.get((name, line.id, line.output)) for side, name in zip(known, both, strict=True)]
            yield line, shown(line, by_id[line.id], [started[name] for name in both], said)
    finally:
        selection.close(started.values())


def main() -> None:
    folder = Path(sys.argv[1])
    wrong = 0
    for line, why in unshown(str(folder / "before.jsonl"), str(folder / "after.jsonl")):
        wrong += bool(why)
        print(f"{'WRONG' if why else 'shown'}  {line.id} {line.output}  {line.what}  {why}", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
