"""Figures of the manual: plots of records that are made for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossproof import Report, check_implementation, run

# What torch.testing.assert_close takes for float32.
_RTOL, _ATOL = 1.3e-6, 1e-5
CAPTIONS: Mapping[str, str] = {
    "bounds_and_tolerance": "Allowed error by size of the exact result, float32: derived bounds, and a tolerance",
    "shares_of_a_wrong_gradient": "Error as a share of the bound: the right gradient, and one without its sum",
}


def _softmax(x: Any, *, axis: int) -> Any:
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


def _right(x: Any, cotangent: Any, *, axis: int) -> Any:
    p = _softmax(x, axis=axis)
    return p * (cotangent - (p * cotangent).sum(axis=axis, keepdims=True))


def _wrong(x: Any, cotangent: Any, *, axis: int) -> Any:
    return _softmax(x, axis=axis) * cotangent


def points(report: Report) -> list[tuple[float, float]]:
    """The size of an exact result and the error that is allowed there, of each observation that has both."""
    return [
        (max(abs(o.exact[0]), abs(o.exact[1])), o.allowed)
        for o in report.observations
        if o.exact is not None and o.allowed and np.isfinite([*o.exact, o.allowed]).all() and any(o.exact)
    ]


def shares(gradient: Callable[..., Any]) -> dict[str, float]:
    """The worst share of the bound of each family, of a softmax with that gradient."""
    report = check_implementation(_softmax, op="softmax", grad=gradient, dtypes=("float32",), deck="smoke")
    worst: dict[str, float] = {}
    for o in report.observations:
        if o.output == "vjp" and o.share and np.isfinite(o.share):
            family = o.id.split("/")[2]
            worst[family] = max(worst.get(family, 0.0), o.share)
    return worst


def draw(folder: Path) -> Sequence[Path]:
    """Write every figure as SVG to a folder."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "lossproof", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3})
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    report = run("numpy", deck="smoke", dtypes=["float32"])
    found = points(report)
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    exact = np.logspace(-45, 10, 200)
    axes.loglog(*zip(*found, strict=True), ".", ms=4, alpha=0.6, label="derived bound of one result")
    axes.loglog(exact, _RTOL * exact + _ATOL, "C3", lw=2, label=f"rtol={_RTOL}, atol={_ATOL}")
    axes.set(xlabel="size of the exact result", ylabel="allowed error")
    axes.legend()
    made = [_saved(figure, folder, "bounds_and_tolerance")]

    right, wrong = shares(_right), shares(_wrong)
    names = sorted(wrong, key=lambda name: wrong[name])
    figure, axes = plt.subplots(figsize=(7, 0.26 * len(names) + 1.2), layout="constrained")
    axes.plot([right.get(name, np.nan) for name in names], names, "o", label="right")
    axes.plot([wrong[name] for name in names], names, "C3x", label="without its sum")
    axes.axvline(1, color="k", lw=1)
    axes.set(xscale="log", xlabel="worst error as a share of the bound; above 1 is a failure")
    axes.legend()
    made.append(_saved(figure, folder, "shares_of_a_wrong_gradient"))
    return made


def _saved(figure: Any, folder: Path, name: str) -> Path:
    path = folder / f"{name}.svg"
    # Without the day, the same record gives the same file.
    figure.savefig(path, metadata={"Date": None})
    return path
