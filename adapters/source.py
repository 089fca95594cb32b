"""Source text for the standalone scripts that adapters write: exact arrays, and traced compositions.

Numbers are written as ``float.fromhex`` reads them, equal neighbours as ``number*count``. A composition is run once on
symbols, so that its script says what it does, line by line, and cannot drift away from it.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, List, Sequence, Tuple

import numpy as np

from .protocol import Problem

READER = [
    "",
    "def read(text, kind=float.fromhex):",
    '    """The numbers in a text; 1*3 is 1 three times."""',
    '    runs = [token.partition("*") for token in text.split()]',
    "    return [v for number, _, times in runs for v in [kind(number)] * int(times or 1)]",
    "",
]


def constant(a: np.ndarray) -> str:
    """The entries of an array in C order, as an expression that uses ``read``. Equal rows are written once."""
    rows = a.reshape(-1, a.shape[-1]) if a.ndim > 1 and a.size else a.reshape(1, -1)
    if len(rows) > 1 and len({row.tobytes() for row in rows}) == 1:
        return "%s * %d" % (constant(rows[0]), len(rows))
    number, kind = (str, ", int") if a.dtype.kind in "iu" else (_hex, "")
    tokens = [number(v) for v in a.ravel().tolist()]
    runs = [(token, len(list(same))) for token, same in itertools.groupby(tokens)]
    return 'read("%s"%s)' % (" ".join(t if n == 1 else "%s*%d" % (t, n) for t, n in runs), kind)


def arrays(p: Problem) -> List[Tuple[str, np.ndarray]]:
    """The arrays of a problem by the names that scripts give them."""
    names = ("x", "target", "weight", "cotangent", "tangent", "target_tangent")
    named = ((name, getattr(p, name)) for name in names)
    return [(name, a) for name, a in named if a is not None]


def program(title: str, imports: Sequence[str], body: Sequence[str]) -> str:
    """A script from its parts."""
    return "\n".join(['"""%s"""' % title, *imports, *READER, *body]) + "\n"


def title(p: Problem, framework: str) -> str:
    """The first line of a script."""
    return "%s in %s, shape %s, with %s alone." % (p.op, p.dtype, p.x.shape, framework)


def _hex(value: float) -> str:
    return re.sub(r"\.?0*p", "p", value.hex(), count=1)


class Symbol:
    """An expression in the making."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __neg__(self) -> Symbol:
        return Symbol("-%s" % self)

    def __eq__(self, other: object) -> Any:
        return self._with("==", other)

    def __ne__(self, other: object) -> Any:
        return self._with("!=", other)

    def __add__(self, other: object) -> Symbol:
        return self._with("+", other)

    def __sub__(self, other: object) -> Symbol:
        return self._with("-", other)

    def __mul__(self, other: object) -> Symbol:
        return self._with("*", other)

    def __rmul__(self, other: object) -> Symbol:
        return Symbol("(%s * %s)" % (_text(other), self))

    def __truediv__(self, other: object) -> Symbol:
        return self._with("/", other)

    def __and__(self, other: object) -> Symbol:
        return self._with("&", other)

    __hash__ = None  # type: ignore[assignment]

    def _with(self, operator: str, other: object) -> Symbol:
        return Symbol("(%s %s %s)" % (self, operator, _text(other)))


class Trace:
    """Lines of a composition, one per function call."""

    def __init__(self) -> None:
        self.lines: List[str] = []

    def emit(self, template: str, *args: object) -> Symbol:
        """Append ``name = template % args`` and give the name."""
        name = "t%d" % (len(self.lines) + 1)
        self.lines.append("%s = %s" % (name, template % tuple(_text(a) for a in args)))
        return Symbol(name)


def _text(value: object) -> str:
    return 'float("%r")' % value if isinstance(value, float) and value - value != 0 else str(value)
