"""The source text of the standalone scripts that adapters write: exact arrays, and traced compositions.

Numbers are written as ``float.fromhex`` reads them, small integers in decimal digits; arrays that would be long so are
packed. A composition is run once on symbols, so that its script says what it does, line by line, and cannot drift
away from it.
"""

from __future__ import annotations

import base64
import itertools
import re
import zlib
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from .given import ignored_label
from .protocol import ARRAYS, Problem

UNPACKER = [
    "def unpack(kind, text):  # numbers of a type of the module struct, compressed, in base 85",
    '    return [v for v, in struct.iter_unpack("<" + kind, zlib.decompress(base64.b85decode(text)))]',
    "",
]
# An array whose text would be longer, or have more terms, is packed.
_LEGIBLE = 1500
_TERMS = 20
# Integers up to here are exact in decimal digits that anybody reads.
_PLAIN = 2.0**24
# Lines of a traced composition are joined up to this length.
_JOINED = 120


def constants(p: Problem) -> Iterator[Tuple[str, np.ndarray, str]]:
    """Yield the arrays of a problem by the names that scripts give them, each with an expression of its entries.

    The entries are in C order; the expression may use ``unpack``.
    """
    for name, a in arrays(p):
        yield name, a, constant(a)


def constant(a: np.ndarray) -> str:
    """Write the entries of an array, in C order, as an expression. Equal rows are written once."""
    is_plain = a.dtype.kind in "iu" or bool(np.all((np.abs(a) <= _PLAIN) & (a == np.round(a))))
    text = _repeated(a, _displays) if is_plain else "list(map(float.fromhex, %s))" % _repeated(a, _words)
    return text if len(text) <= _LEGIBLE and text.count(" + ") <= _TERMS else _packed(a)


def _runs(tokens: Iterable[str]) -> List[Tuple[str, int]]:
    return [(token, len(list(same))) for token, same in itertools.groupby(tokens)]


def _displays(a: np.ndarray) -> str:
    """Write the entries of an array as list displays: ``[0.0] * 5 + [1.0, 2.0]``."""
    return _sum(map(repr, a.ravel().tolist()), "[%s] * %d", lambda tokens: "[%s]" % ", ".join(tokens))


def _words(a: np.ndarray) -> str:
    """Write the entries of an array as texts of hexadecimal numbers."""
    return _sum(map(_hex, a.ravel().tolist()), '["%s"] * %d', lambda tokens: '"%s".split()' % " ".join(tokens))


def _sum(tokens: Iterable[str], repeated: str, listed: Callable[[Iterable[str]], str]) -> str:
    """Write lists that add up to the tokens: a long run of one as ``repeated``, those in between as ``listed``."""
    parts = []
    for is_long, several in itertools.groupby(_runs(tokens), key=lambda run: run[1] > 3):
        if is_long:
            parts += [repeated % run for run in several]
        else:
            parts.append(listed(token for token, n in several for _ in range(n)))
    return " + ".join(parts) or "[]"


def _repeated(a: np.ndarray, written: Callable[[np.ndarray], str]) -> str:
    row = _equal_rows(a)
    if row is None:
        return written(a)
    text = written(row)
    return ("(%s) * %d" if " + " in text else "%s * %d") % (text, len(a.reshape(-1, a.shape[-1])))


def _equal_rows(a: np.ndarray) -> Optional[np.ndarray]:
    """Return the row that all of several rows along the last axis equal, if they do and are longer than 1."""
    if a.ndim < 2 or not a.size or a.shape[-1] < 2:
        return None
    rows = a.reshape(-1, a.shape[-1])
    return rows[0] if len(rows) > 1 and len({row.tobytes() for row in rows}) == 1 else None


def _packed(a: np.ndarray) -> str:
    """Write the entries of an array packed, in the narrowest type that holds every one exactly."""
    kinds = "bhiq" if a.dtype.kind in "iu" else "efd"
    with np.errstate(over="ignore"):
        kind = next(k for k in kinds if np.array_equal(a.astype("<" + k), a, equal_nan=kinds == "efd"))
    data = zlib.compress(np.ascontiguousarray(a.astype("<" + kind)).tobytes(), 9)
    return 'unpack("%s", "%s")' % (kind, base64.b85encode(data).decode())


def arrays(p: Problem) -> List[Tuple[str, np.ndarray]]:
    """Return the arrays of a problem by the names that scripts give them."""
    named = ((name, getattr(p, name)) for name in ARRAYS)
    return [(name, a) for name, a in named if a is not None]


def program(title: str, imports: Sequence[str], body: Sequence[str]) -> str:
    """Put a script together from its parts, with the imports and the helper that they use."""
    text = "\n".join(body)
    helpers = UNPACKER if "unpack(" in text else []
    if "unpack(" in text:
        imports = ["import base64, struct, zlib", *imports]
    return "\n".join(['"""%s"""' % title, *imports, "", *helpers, *body]) + "\n"


def named(names: Sequence[str], lines: Sequence[str]) -> List[str]:
    """Return those of the names that the lines speak of."""
    text = "\n".join(lines)
    return [name for name in names if re.search(r"\b%s\b" % name, text)]


def loss_options(p: Problem) -> str:
    """Write the options that losses have under PyTorch's names elsewhere, too; probabilities have no ignored label."""
    given = [] if p.weight is None else ["weight=weight"]
    given += [] if p.has_probability_target else ["ignore_index=%d" % ignored_label(p)]
    return ", ".join([*given, 'reduction="%s"' % p.reduction])


def version(module: str, name: str) -> str:
    """Write the line that prints the version of a framework."""
    return 'print("%s", %s.__version__)' % (name, module)


def version_of(package: str) -> str:
    """Write the line that prints the version of a package, whose module may have none of its own."""
    return 'print("%s", __import__("importlib.metadata").metadata.version("%s"))' % (package, package)


def title(p: Problem, framework: str) -> str:
    """Write the first line of a script, a comment that says what it computes."""
    return "%s in %s, shape %s, with %s alone." % (p.op, p.dtype, p.x.shape, framework)


def _hex(value: float) -> str:
    return re.sub(r"\.?0*p", "p", value.hex(), count=1)


class Symbol:
    """A stand-in for a tensor that composes the expression of what is done with it."""

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
        return Symbol("(%s * %s)" % (text(other), self))

    def __truediv__(self, other: object) -> Symbol:
        return self._with("/", other)

    def __and__(self, other: object) -> Symbol:
        return self._with("&", other)

    __hash__ = None  # type: ignore[assignment]

    def _with(self, operator: str, other: object) -> Symbol:
        return Symbol("(%s %s %s)" % (self, operator, text(other)))


class Trace:
    """The lines of a traced composition, one for each function call."""

    def __init__(self) -> None:
        self.lines: List[str] = []

    def emit(self, template: str, *args: object) -> Symbol:
        """Append ``name = template % args`` and return the name."""
        name = "t%d" % (len(self.lines) + 1)
        self.lines.append("%s = %s" % (name, template % tuple(text(a) for a in args)))
        return Symbol(name)

    def along(self, function: str) -> Callable[..., Symbol]:
        """Return what emits calls of a function of a tensor and an axis, which may be left to its default."""
        return lambda a, *axis: self.emit("%s(%%s%s)" % (function, ", axis=%s" * len(axis)), a, *axis)

    def returning(self, result: object) -> List[str]:
        """Return the lines and one that returns ``result``; what is used once stands where it is used, if it fits."""
        lines = ["return %s" % result]
        for line in reversed(self.lines):
            # What nothing uses is left out.
            if re.search(r"\b%s\b" % line.partition(" = ")[0], "\n".join(lines)):
                lines.insert(0, line)
        for name in [line.partition(" = ")[0] for line in lines[:-1]]:
            word = re.compile(r"\b%s\b" % name)
            own = next(line for line in lines if line.startswith(name + " = "))
            users = [line for line in lines if line is not own and word.search(line)]
            value = own.partition(" = ")[2]
            uses = sum(len(word.findall(line)) for line in users)
            if uses == 1 and len(users[0]) + len(value) <= _JOINED:
                lines = [word.sub(value.replace("\\", "\\\\"), line) if line is users[0] else line for line in lines]
                lines.remove(own)
        return lines


def text(value: object) -> str:
    """Write a value as it stands in a program; what is infinite or NaN has no display of its own."""
    return 'float("%r")' % value if isinstance(value, float) and value - value != 0 else str(value)
