"""The plot of a target's history: an SVG that takes its colours from the page and needs no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from lossproof.views.board.condensed import Condensed
from lossproof.views.board.release_history import bounded_cells, count_text, failing

_WIDTH, _LEFT, _RIGHT = 720, 56, 16
_BARS, _GAP, _SHARES, _BELOW = 120, 56, 120, 34
_TOP = 34


def history_svg(releases: Sequence[Condensed]) -> str:
    """Draw how many outputs deviate in each release, over the worst share of the bound of those that do not."""
    step = (_WIDTH - _LEFT - _RIGHT) / len(releases)
    xs = [_LEFT + step * (i + 0.5) for i in range(len(releases))]
    height = _TOP + _BARS + _GAP + _SHARES + _BELOW
    said = "; ".join(
        f"{c.version}: {count_text(_failed(c), 'failure')}, {count_text(_waived(c), 'known deviation')}"
        for c in releases
    )
    body = "".join([*_bars(releases, xs, step), *_worst_shares(releases, xs), *_versions(releases, xs, height)])
    return (
        f'<svg class="history" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Outputs that deviate, and the '
        f'worst share of the bound, by release. {escape(said)}.">{body}</svg>'
    )


def _failed(c: Condensed) -> int:
    return sum(map(failing, bounded_cells(c).values()))


def _waived(c: Condensed) -> int:
    return sum(w.count for w in c.waived)


def _bars(releases: Sequence[Condensed], xs: Sequence[float], step: float) -> Iterator[str]:
    most = max(max(_failed(c) + _waived(c) for c in releases), 1)
    floor, width = _TOP + _BARS, min(step * 0.55, 44)
    yield f'<text class="what" x="0" y="12">outputs that deviate</text>{_rule(floor, "0")}{_rule(_TOP, str(most))}'
    for c, x in zip(releases, xs, strict=True):
        y = float(floor)
        for n, kind in ((_waived(c), "deviates"), (_failed(c), "fails")):
            tall = _BARS * n / most
            y -= tall
            if n:
                tall = max(tall, 2.0)
                place = f'x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}"'
                yield f'<rect class="bar-{kind}" {place}/>'
        total = _failed(c) + _waived(c)
        yield f'<text class="number" x="{x:.1f}" y="{min(y, floor - 2) - 5:.1f}">{total or "none"}</text>'


def _worst_shares(releases: Sequence[Condensed], xs: Sequence[float]) -> Iterator[str]:
    top = _TOP + _BARS + _GAP
    floor = top + _SHARES
    yield f'<text class="what" x="0" y="{top - 20}">worst share of the bound, without what deviates</text>'
    yield _rule(floor, "0") + _rule(top, "1")
    shares = [max((cell.share_passed for cell in bounded_cells(c).values()), default=0.0) for c in releases]
    points = [(x, floor - _SHARES * min(share, 1.0)) for x, share in zip(xs, shares, strict=True)]
    yield f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
    for (x, y), share in zip(points, shares, strict=True):
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        yield f'<text class="number" x="{x:.1f}" y="{y + 17:.1f}">{share:.2g}</text>'


def _versions(releases: Sequence[Condensed], xs: Sequence[float], height: int) -> Iterator[str]:
    for c, x in zip(releases, xs, strict=True):
        yield f'<text class="version" x="{x:.1f}" y="{height - 8}">{escape(c.version)}</text>'


def _rule(y: float, text: str) -> str:
    return (
        f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{y + 4}">{text}</text>'
    )
