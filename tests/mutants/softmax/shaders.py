"""Mutants of softmax, or of log_softmax, that declare profile S and keep one of its contracts not."""

from __future__ import annotations

from dataclasses import replace

from tests.mutants.kit.entries import bug
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.shaders import Shader
from tests.mutants.kit.softmax_steps import Array, Softmax, over_rows, row_max, zero

SOURCE = "docs/bounds.md, section 1, profile S"
_SHADES = {"float32": "S"}


def _beyond(op: str, name: str, why: str, of: Shader) -> Mutant:
    value = over_rows(of.p if op == "softmax" else of.y)
    return replace(bug(op, name, why, SOURCE, value, expect=("float32",)), profiles=_SHADES)


def _unshifted(x: Array) -> Array:
    return replace(Shader().softmax, shift=zero).p(x)


def _workgroup(x: Array) -> Array:
    """Rows of more classes than items in a work-group: the part after the last whole group is not in the sum."""
    k = x.shape[-1]
    whole = k - k % 8 if k > 8 else k
    shader = Shader(side=-1)
    return Softmax(
        inner=shader.softmax.inner,
        shift=row_max,
        exp=shader.softmax.exp,
        total=lambda e: shader.softmax.total(e[..., :whole]),
        divide=shader.softmax.divide,
    ).p(x)


MUTANTS: tuple[Mutant, ...] = (
    _beyond("softmax", "S: exponential beyond its contract", "16 times 3 + 2 |x| ULP", Shader(exp=16.0)),
    _beyond("softmax", "S: quotient beyond its contract", "16 times 2.5 ULP", Shader(quotient=16.0)),
    _beyond("softmax", "S: sum beyond its contract", "16 times a rounding in any direction", Shader(sums=16.0)),
    _beyond("log_softmax", "S: logarithm beyond its contract", "16 times 3 ULP, or 2^-21", Shader(side=-1, log=16.0)),
    _beyond("log_softmax", "S: exponential beyond its contract", "16 times 3 + 2 |x| ULP", Shader(side=-1, exp=16.0)),
    *(
        replace(bug("softmax", name, why, SOURCE, over_rows(f), expect=("float32",)), profiles=_SHADES)
        for name, why, f in (
            ("S: no maximum subtracted", "a shader without the shift", _unshifted),
            ("S: tail of a work-group", "the last classes are not in the sum", _workgroup),
        )
    ),
)
