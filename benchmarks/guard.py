"""What the engine costs beside an older commit, in one run: a ratio of 1.5 is a failure.

    python benchmarks/guard.py [BASE] [--rounds 3] [--no-compiler]

The same calls are judged by the working tree and by BASE, in turns, each in a process of its own: what importing takes,
the smoke deck, and truth and verdicts of calls of NumPy's adapter, with arrays and in the compiled pass. Processor time
of each piece, the least of all rounds; those that look worse are measured again before they count, so that a neighbour
on the machine is no finding. No time is compared with a number.

Without BASE it is the commit that a branch left ``main`` at; on ``main`` itself the last tag, so that many small steps
add up; where there is no tag the commit before. Where git or that commit is not to be had (an unpacked archive, a
shallow clone) nothing is compared, and it says so; nor are pieces of which BASE has no such interface.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

# A script's own folder comes first on the path, not the root.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.startup import checkout, links

ROOT = Path(__file__).resolve().parents[1]
WORSE = 1.5
# Measurements of a piece within one process, and rounds that are added where something looks worse.
_TURNS, _MORE = 3, 4
# Runs in both trees: interfaces that have been there for long, and inputs that no deck changes.
PROGRAM = """
import json, os, sys, time
import numpy as np
found = {}

def least(name, work):
    work()
    times = []
    for _ in range(TURNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    found[name] = min(times)

try:
    import lossproof
    from lossproof.adapters.numpy import ADAPTER
    from lossproof.adapters.protocol import Problem
    from lossproof.cases.catalogue import select
    from lossproof.core.call import Call
    from lossproof.core.formats import FORMATS
    from lossproof.running.loop import run
    from lossproof.targets.target import Target
    found[f"import, {PATH}"] = time.process_time()

    def calls(op, dtype, sizes):
        random, fmt = np.random.default_rng(0), FORMATS[dtype]
        for n, k in sizes:
            x = fmt.round(random.normal(size=(n, k)) * 4)
            v = fmt.round(random.normal(size=(n, k)))
            if "softmax" in op:
                yield Call(Problem(op, dtype, x, cotangent=v), "ordinary")
            else:
                y = random.integers(0, k, n)
                yield Call(Problem(op, dtype, x, y, reduction="none", cotangent=v[:, 0]), "ordinary")

    def judged(op, dtype, sizes):
        several = list(calls(op, dtype, sizes))
        def work():
            seen = [o.verdict for o in run([Target(ADAPTER)], several)]
            assert len(seen) >= 2 * len(several) and set(seen) == {"pass"}, seen
        least(f"{op} {dtype}, {PATH}, {'one large call' if len(sizes) == 1 else 'small calls'}", work)

    if PATH == "arrays":
        # A deck that has grown is no slower.
        name = "1000 calls of the smoke deck"
        least(name, lambda: [c.id for c in select("smoke")])
        found[name] *= 1000 / len(select("smoke"))
    for op, dtype in PIECES:
        judged(op, dtype, [(512, 64)])
        judged(op, dtype, [(2 + i % 5, 3 + i % 7) for i in range(20)])
except ImportError as error:
    found["error"] = str(error)
print(json.dumps(found))
"""
BY_ARRAYS = (
    ("softmax", "float32"),
    ("log_softmax", "bfloat16"),
    ("nll_loss", "float16"),
    ("cross_entropy", "float32"),
    ("cross_entropy", "float64"),
)
# One of them, since all that it calls is compiled for it.
COMPILED = (("softmax", "float32"),)
# Seconds by the name of a piece.
Times = dict[str, float]


def git(*arguments: str) -> str:
    """What a command of git prints, or an empty text where it fails or git is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def base_of(head: str) -> str:
    """The commit to compare with, or an empty text."""
    for main in ("origin/main", "main"):
        found = git("merge-base", head, main)
        if found and found != head:
            return found
    tag = git("describe", "--tags", "--abbrev=0", f"{head}^")
    return git("rev-parse", "--verify", "--quiet", f"{tag or head + '^'}^{{commit}}")


def measured(path: Path, kind: str) -> Times:
    """Processor seconds of each piece, in a new process. Raises :class:`SystemExit` where it could not be done.

    What is compiled is kept where it always is, and so is compiled once: it is before anything is measured.
    """
    pieces = BY_ARRAYS if kind == "arrays" else COMPILED
    program = f"TURNS, PATH, PIECES = {_TURNS}, {kind!r}, {pieces!r}\n{PROGRAM}"
    environment = {**os.environ, "PYTHONPATH": str(path), "LOSSPROOF_NO_CACHE": "1"}
    environment |= {"LOSSPROOF_COMPILED": "0" if kind == "arrays" else "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"on {path}:\n{done.stderr}")
    found: Times = json.loads(done.stdout.splitlines()[-1])
    return found


def least(several: Sequence[Times]) -> Times:
    """Of each piece the least."""
    return {name: min(one[name] for one in several) for name in several[0]}


def ratios(now: Mapping[str, float], base: Mapping[str, float]) -> Times:
    """Of each piece that both have, the one over the other."""
    return {name: now[name] / base[name] for name in now if name in base}


def compare(sides: tuple[Path, Path], kinds: Sequence[str], rounds: int) -> tuple[Times, Times]:
    """The times of the base and of this tree, which are the first and the second side."""
    base: Times = {}
    now: Times = {}
    for kind in kinds:
        seen: tuple[list[Times], list[Times]] = ([], [])
        for turn in range(rounds + _MORE):
            if turn >= rounds and max(ratios(*(least(s) for s in reversed(seen))).values()) < WORSE:
                break
            for path, several in zip(sides, seen, strict=True):
                found = measured(path, kind)
                if "error" in found:
                    print(f"guard: not compared with {kind}, since {path} says: {found['error']}")
                    break
                several.append(found)
            else:
                continue
            break
        if all(seen):
            base |= least(seen[0])
            now |= least(seen[1])
    return base, now


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", help="The commit to compare with.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-compiler", action="store_true", help="leave the compiled pass out")
    options = parser.parse_args()
    head = git("rev-parse", "HEAD")
    given = options.base or (base_of(head) if head else "")
    base = git("rev-parse", "--verify", "--quiet", f"{given}^{{commit}}") if given else ""
    if not base:
        if options.base:
            raise SystemExit(f"{options.base} is no commit of this repository; expected a name that git log takes")
        print("guard: nothing to compare with, since there is no history here; no failure")
        return 0
    with checkout(base) as folder:
        kinds = ("arrays",) if options.no_compiler else ("arrays", "compiled")
        before, now = compare((links(folder), links(ROOT)), kinds, options.rounds)
    found = ratios(now, before)
    table = Table(title=f"milliseconds of processor time, beside {base[:7]}")
    for column in ("", "base", "now", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    for name, ratio in found.items():
        table.add_row(name, f"{before[name] * 1e3:.1f}", f"{now[name] * 1e3:.1f}", f"{ratio:.2f}")
    Console(width=120).print(table)
    worse = [name for name, ratio in found.items() if ratio >= WORSE]
    for name in worse:
        print(f"guard: {name} takes {found[name]:.2f} times what it took at {base[:7]}; less than {WORSE} is expected")
    return int(bool(worse))


if __name__ == "__main__":
    raise SystemExit(main())
