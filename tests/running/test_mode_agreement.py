"""Agreement of the modes of one implementation: bits as a grade, errors against NaN as a record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Problem
from lossproof.cases.catalogue import select
from lossproof.core.case_id import CONVENTION
from lossproof.core.observation import Observation
from lossproof.running.loop import run
from lossproof.running.summary import Summary
from lossproof.targets.target import Target


@dataclass
class TwoModes(NumpyAdapter):
    """The numpy adapter, and a second mode of it that moves float32 by an ULP or answers unknown labels with NaN."""

    moves: bool = False
    nan: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), modes=("eager", "other"), by_mode={"other": {"compile_cost": "cheap"}})

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        if mode == "eager":
            return super().evaluate(problem, device, mode)
        try:
            out = super().evaluate(problem, device, mode)
        except IndexError:
            if not self.nan or problem.target is None:
                raise
            labels = problem.target
            bad = (labels < 0) | (labels >= problem.x.shape[-1])
            out = super().evaluate(replace(problem, target=np.where(bad, 0, labels)), device, mode)
            return {
                name: replace(
                    t, data=np.where(bad if t.data.ndim == 1 else bad[:, None] if t.data.ndim else True, np.nan, t.data)
                )
                for name, t in out.items()
            }
        if self.moves and problem.dtype == "float32":
            data = out["value"].data
            moved = np.nextafter(data.astype(np.float32), np.float32(-1)).astype(np.float64)
            out["value"] = replace(out["value"], data=np.where(data > 0.25, moved, data))
        return out


def graded(adapter: TwoModes, **chosen: Any) -> list[Observation]:
    targets = [Target(adapter, "eager"), Target(adapter, "other")]
    return list(run(targets, select(**chosen)))


def grades(found: list[Observation]) -> dict[tuple[str, str, str], str]:
    graded = {}
    for o in found:
        if "modes" in o.conventions:
            op, dtype = o.case.op, o.case.dtype
            graded[o.target, op, dtype] = o.conventions["modes"]
    return graded


def test_bits_are_a_grade_of_each_op_and_dtype() -> None:
    chosen = {"ops": ["softmax"], "dtypes": ["float64", "float32"], "families": ["ordinary", "confident"]}
    found = graded(TwoModes(moves=True), **chosen)
    assert grades(found) == {
        ("numpy+other", "softmax", "float64"): "bitwise",
        ("numpy+other", "softmax", "float32"): "varies",
    }
    assert not [o.message for o in found if o.verdict == "fail"]
    (apart,) = (o for o in found if o.conventions.get("modes") == "varies")
    assert apart.verdict == "convention"
    compared = [o for o in found if o.id.startswith("softmax/float32/") and o.target == "numpy+other" and o.bits]
    first, _, total = apart.message.split(" ", 2)
    assert 0 < int(first) < len(compared)
    assert total.startswith(f"{len(compared)} outputs have other bits than those of numpy")
    assert Summary().add_all(found).listed == [f"numpy+other softmax float32: {apart.message}"]


def test_equal_modes_have_equal_bits() -> None:
    found = graded(TwoModes(), ops=["softmax"], dtypes=["float32"], families=["ordinary"])
    assert set(grades(found).values()) == {"bitwise"}
    assert Summary().add_all(found).listed == []


def test_one_target_has_nothing_to_agree_with() -> None:
    found = list(run([Target(TwoModes())], select(ops=["softmax"], dtypes=["float32"], families=["ordinary"])))
    assert not grades(found)


@pytest.mark.parametrize("op", ["nll_loss", "cross_entropy"])
def test_an_error_in_one_mode_and_nan_in_the_other_are_recorded(op: str) -> None:
    chosen = {"ops": [op], "dtypes": ["float32"], "families": ["error"]}
    found = graded(TwoModes(nan=True), **chosen)
    (o,) = (o for o in found if o.id == f"{op}/all/{CONVENTION}/clause-13/value")
    assert (o.verdict, o.conventions) == ("convention", {"13": "error|nan"})
    assert "an unknown label is error on numpy; nan on numpy+other" in o.message
    assert o.message in Summary().add_all(found).listed
    (o,) = (o for o in graded(TwoModes(), **chosen) if o.id == f"{op}/all/{CONVENTION}/clause-13/value")
    assert (o.verdict, o.message) == ("pass", "")
