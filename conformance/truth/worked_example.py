"""The worked example of the specification, section 6: published decimals, certified enclosures, a check for drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb, ctx

from lossproof.core.errors import UsageError
from lossproof.core.json_text import parsed_json
from lossproof.truth.oracle.in_balls import PRECISIONS, exactly

BallList = list[Any]

PREDS = ((0.1, 0.2, 0.3, 0.4), (0.1, 0.1, 0.1, 0.1))
TARGET = (2, 3)
EPS = 0.1
# As published, to four decimals. The text sums the rounded log-softmax entries of the first row and prints -5.5700;
# the sum itself is -5.5701.
PUBLISHED: dict[str, list[str]] = {
    "exp": ["1.1052", "1.2214", "1.3499", "1.4918", "1.1052", "1.1052", "1.1052", "1.1052"],
    "one_hot": ["0.0000", "0.0000", "1.0000", "0.0000", "0.0000", "0.0000", "0.0000", "1.0000"],
    "softmax": ["0.2138", "0.2363", "0.2612", "0.2887", "0.2500", "0.2500", "0.2500", "0.2500"],
    "log_softmax": ["-1.5425", "-1.4425", "-1.3425", "-1.2425", "-1.3863", "-1.3863", "-1.3863", "-1.3863"],
    "log_softmax_row_sums": ["-5.5701", "-5.5452"],
    "nll_loss_mean": ["1.3644"],
    "cross_entropy_mean": ["1.3644"],
    "uniform_term_mean": ["1.3894"],
    "smoothed_cross_entropy_mean": ["1.3669"],
}


def compute() -> dict[str, BallList]:
    """Compute every intermediate and result as balls, step by step from the definitions."""
    x = [[exactly(v) for v in row] for row in PREDS]
    eps = exactly(EPS)
    e = [[v.exp() for v in row] for row in x]
    p = [[v / sum(row, arb(0)) for v in row] for row in e]
    y = [[v.log() for v in row] for row in p]
    nll = [-row[t] for row, t in zip(y, TARGET, strict=True)]
    uniform = [-sum(row, arb(0)) / 4 for row in y]
    smooth = [(1 - eps) * a + eps * b for a, b in zip(nll, uniform, strict=True)]
    one_hot = [[arb(int(j == t)) for j in range(4)] for t in TARGET]
    results = {
        "exp": _flat(e),
        "one_hot": _flat(one_hot),
        "softmax": _flat(p),
        "log_softmax": _flat(y),
        "log_softmax_row_sums": [sum(row, arb(0)) for row in y],
    }
    for name, rows in (
        ("nll_loss", nll),
        ("cross_entropy", nll),
        ("uniform_term", uniform),
        ("smoothed_cross_entropy", smooth),
    ):
        results[f"{name}_none"] = rows
        results[f"{name}_sum"] = [sum(rows, arb(0))]
        results[f"{name}_mean"] = [sum(rows, arb(0)) / len(rows)]
    return results


def _flat(rows: list[BallList]) -> BallList:
    return [v for row in rows for v in row]


def ends(ball: Any) -> tuple[float, float]:
    """The ball's ends, rounded outward to float64."""
    return _outward(ball.lower(), -np.inf), _outward(ball.upper(), np.inf)


def _outward(end: Any, direction: float) -> float:
    near = float(end.mid())
    wrong = exactly(near) > end if direction < 0 else exactly(near) < end
    return float(np.nextafter(near, direction)) if wrong else near


def make() -> dict[str, Any]:
    """Compute the content of golden/spec.json."""
    saved, ctx.prec = ctx.prec, PRECISIONS[1]
    try:
        entries = {}
        for name, balls in compute().items():
            pairs = [ends(ball) for ball in balls]
            entry: dict[str, Any] = {"lo": [a.hex() for a, _ in pairs], "hi": [b.hex() for _, b in pairs]}
            if name in PUBLISHED:
                entry = {"published": PUBLISHED[name], **entry}
            entries[name] = entry
    finally:
        ctx.prec = saved
    return {
        "provenance": (
            "The worked example of the specification, section 6. 'published' are its printed decimals; 'lo' and 'hi' "
            "enclose the exact value for the inputs below, taken as the exact float64 numbers given; they come from "
            "ball arithmetic at 256 bits, rounded outward."
        ),
        "inputs": {
            "preds": [[v.hex() for v in row] for row in PREDS],
            "target": list(TARGET),
            "label_smoothing": EPS.hex(),
        },
        "entries": entries,
    }


def json_text() -> str:
    """Return golden/spec.json as text."""
    return json.dumps(make(), indent=1) + "\n"


def stored(path: Path | None = None) -> dict[str, Any]:
    """Read a golden file, by default the one that is installed. Raises :class:`UsageError` if it cannot be read."""
    file = path or files("lossproof.golden").joinpath("spec.json")
    try:
        found = parsed_json(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"golden/spec.json cannot be read: {error}; reinstall lossproof") from None
    if not isinstance(found, dict):
        raise UsageError("golden/spec.json is no table of entries; reinstall lossproof")
    return found


def check_published(load: Callable[[], dict[str, Any]] = stored) -> list[str]:
    """Recompute everything and compare: one message for each drift, none if the file is right."""
    found, fresh = load(), make()
    drift = [f"{part} differs" for part in ("provenance", "inputs") if found.get(part) != fresh[part]]
    entries = found.get("entries")
    if not isinstance(entries, dict):
        return [*drift, "entries is no table of names"]
    drift += [f"{name} is not in the specification" for name in sorted(set(entries) - set(fresh["entries"]))]
    for name, entry in fresh["entries"].items():
        if entries.get(name) != entry:
            drift.append(f"{name}: stored {entries.get(name)}, recomputed {entry}")
        for index, printed in enumerate(entry.get("published", [])):
            lo, hi = float.fromhex(entry["lo"][index]), float.fromhex(entry["hi"][index])
            if {_printed(lo), _printed(hi)} != {printed}:
                drift.append(f"{name}[{index}]: published {printed}, but the exact value lies in [{lo!r}, {hi!r}]")
    return drift


def _printed(value: float) -> str:
    rounded = Decimal(value).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
    return f"{rounded if rounded else abs(rounded):.4f}"
