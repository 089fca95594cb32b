"""Cells of the coverage matrix that need not be asked, each with its reason."""

from __future__ import annotations

from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import LOSSES, OUTPUTS, Capabilities
from lossproof.cases.coverage.cells import CoverageCell
from lossproof.cases.forms.laid_inputs import OF_ONE_AXIS
from lossproof.cases.wider_outputs import WIDER


def exempt(c: Capabilities, cell: CoverageCell, op: str, dtype: str) -> str:
    """Say why a cell of an op in a dtype need not be asked of a target with these capabilities; else an empty text."""
    return _not_offered(c, cell, op) or _senseless(cell, op, dtype)


def _not_offered(c: Capabilities, cell: CoverageCell, op: str) -> str:
    table, name = cell
    if table == "layouts":
        array, _, layout = name.rpartition(" ")
        if layout not in c.layouts or (array != "x and cotangent" and array not in c.laid):
            return "the adapter makes no such array"
    kind = name.partition(" ")[0]
    if table == "options" and kind in ("index", "probability") and kind not in c.ops[op].targets:
        return f"its {op} takes no {kind} targets"
    if table == "options" and name in OUTPUTS and name not in c.outputs:
        return f"it offers no {name}"
    if name == "wider output" and op not in c.out_dtypes:
        return f"its {op} has no dtype wider than the input's"
    if name == "factor on the logits" and op not in c.scales:
        return f"its {op} takes no factor on its input"
    return ""


def _senseless(cell: CoverageCell, op: str, dtype: str) -> str:
    name = cell[1]
    if name == "wider output" and dtype not in WIDER:
        return "no dtype is wider"
    if op == "nll_loss" and (name == "+inf" or name in ("probability targets", "smoothing")):
        return "log-probabilities are no more than 0, and nll_loss has neither smoothing nor probability targets"
    if name in TABLE and op not in TABLE[name].formulas:
        return f"the specification has no {name} of {op}"
    if op == "nll_loss" and name == "factor on the logits":
        return "log-probabilities are no product"
    if name.startswith("cotangent ") and op in LOSSES and name.rpartition(" ")[2] not in OF_ONE_AXIS:
        return "the cotangent of a loss has one axis"
    return ""
