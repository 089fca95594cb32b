"""One entry of an output: what it must be, as numbers and as conditions of a program."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lossproof.adapters.protocol import Problem
from lossproof.judging.messages import own_index
from lossproof.truth.expected import ANY, NAN, NINF, PINF, ZERO
from lossproof.truth.truth import Truth

_ACCEPTED = {
    NAN: ("NaN", "observed != observed"),
    PINF: ("inf", 'observed == float("inf")'),
    NINF: ("-inf", 'observed == float("-inf")'),
    ZERO: ("0", "observed == 0"),
}


@dataclass(frozen=True)
class Entry:
    """One entry of an output, with what an implementation may return there.

    The entry lies at ``index`` of the output. The exact result is in the interval ``exact``; ``allowed`` is the error
    that the error ``profile`` allows (docs/bounds.md). ``second`` is another accepted exact interval. ``accepts`` are
    special values that are accepted besides, each with its condition on a variable ``observed``. ``anything`` says that
    the entry is not judged.
    """

    index: tuple[int, ...]
    exact: tuple[float, float]
    allowed: float
    profile: str
    second: tuple[float, float] | None = None
    accepts: tuple[tuple[str, str], ...] = ()
    anything: bool = False

    @property
    def is_special(self) -> bool:
        """Say whether NaN or an infinity is required."""
        return not math.isfinite(self.exact[0])

    @property
    def described(self) -> str:
        """Words for what is expected."""
        lo, hi = self.exact
        if self.is_special:
            text = f"{lo!r}"
        else:
            text = f"{lo!r}" if lo == hi else f"a value in [{lo!r}, {hi!r}]"
            text += f", with an error of at most {self.allowed:.3g}" if self.allowed else ", exactly"
        if self.second:
            text += f" (by the other accepted formula {self.second[0]!r})"
        return text + "".join(f", or {name}" for name, _ in self.accepts)

    def accepted(self, observed: float) -> bool:
        """Tell whether an observed value is right, as the lines of :meth:`source` do in a program."""
        lo, hi = self.exact
        near = [self.exact, *([self.second] if self.second else [])]
        return (
            self.anything
            or any(name == _name(observed) for name, _ in self.accepts)
            or (math.isnan(lo) and math.isnan(observed))
            or (math.isinf(lo) and observed == lo)
            or (lo == hi and abs(observed - lo) <= self.allowed)
            or any(a - self.allowed <= observed <= b + self.allowed for a, b in near if not math.isinf(a))
        )

    def source(self) -> Iterator[str]:
        """Write the lines of a program that set ``exact`` and ``allowed``, and ``right`` if ``observed`` is right."""
        lo, hi = self.exact
        if self.is_special:
            yield f'exact, allowed = float("{lo}"), 0.0'
            yield "right = observed != observed" if math.isnan(lo) else "right = observed == exact"
        elif lo == hi:
            yield f"exact, allowed = {_literal(lo)}, {_literal(self.allowed)}"
            yield "right = abs(observed - exact) <= allowed"
        else:
            yield f"exact, allowed = [{_literal(lo)}, {_literal(hi)}], {_literal(self.allowed)}"
            yield "right = exact[0] - allowed <= observed <= exact[1] + allowed"
        more = [condition for _, condition in self.accepts]
        if self.second:
            more.append("{} - allowed <= observed <= {} + allowed".format(*map(_literal, self.second)))
        if self.anything:
            more.append("True")
        if more:
            yield f"right = right or {' or '.join(more)}"


def _literal(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def _name(observed: float) -> str:
    return "NaN" if math.isnan(observed) else "0" if observed == 0 else str(observed)


def entry(exact: Truth, output: str, at: tuple[int, ...], p: Problem, *, allowed: float, profile: str) -> Entry:
    """Take one entry of the truth about an output of ``p``, the one problem of a batch.

    ``at`` is its index in the layout of the batch; ``allowed`` is the error that ``profile`` allows there.
    """
    expected = exact.expected[output]
    place = (0, *at)
    codes = int(expected.accept[place])
    accepts = [text for code, text in _ACCEPTED.items() if codes & code]
    mid, fmt = float(expected.exact.mid[place]), exact.batch.format_of(output)
    strict = bool(expected.strict[place])
    if math.isfinite(mid) and not strict and (abs(mid) - fmt.max) + allowed >= fmt.max * fmt.u:
        # A rounded result may be infinite where the exact one is about to be.
        accepts.append(_ACCEPTED[PINF if mid > 0 else NINF])
    second = None
    if expected.other is not None and not strict:
        second = expected.other.ends(place)
    ends = expected.exact.ends(place)
    return Entry(
        own_index(at, p, output),
        (float(ends[0]), float(ends[1])),
        0.0 if strict else allowed,
        profile,
        second if second != ends and math.isfinite(sum(second or ())) else None,
        tuple(dict.fromkeys(accepts)),
        bool(codes & ANY),
    )
