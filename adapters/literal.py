"""Exact arrays as source text, for the standalone scripts that adapters write.

Numbers are written as ``float.fromhex`` reads them, equal neighbours as ``number*count``.
"""

from __future__ import annotations

import itertools
import re
from typing import List, Sequence, Tuple

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


def literal(a: np.ndarray) -> str:
    """The entries of an array in C order, as an expression that uses ``read``."""
    number, kind = (str, ", int") if a.dtype.kind in "iu" else (_hex, "")
    tokens = [number(v) for v in a.ravel().tolist()]
    runs = [(token, len(list(same))) for token, same in itertools.groupby(tokens)]
    return 'read("%s"%s)' % (" ".join(t if n == 1 else "%s*%d" % (t, n) for t, n in runs), kind)


def arrays(p: Problem) -> List[Tuple[str, np.ndarray]]:
    """The arrays of a problem by the names that scripts give them."""
    named = (("x", p.x), ("target", p.target), ("weight", p.weight), ("cotangent", p.cotangent))
    return [(name, a) for name, a in named if a is not None]


def program(title: str, imports: Sequence[str], body: Sequence[str]) -> str:
    """A script from its parts."""
    return "\n".join(['"""%s"""' % title, *imports, *READER, *body]) + "\n"


def title(p: Problem, framework: str) -> str:
    """The first line of a script."""
    return "%s in %s, shape %s, with %s alone." % (p.op, p.dtype, p.x.shape, framework)


def _hex(value: float) -> str:
    return re.sub(r"\.?0*p", "p", value.hex(), count=1)
