"""The badge of a target: an SVG of two fields that says how it stands, without any font or file from elsewhere."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from lossproof.views.board.release_history import count_text
from lossproof.views.board.standings import CONFORMS, DEVIATES, FAILS, NONCONFORMING, Standing

LABEL = "lossproof"
_COLOURS = {CONFORMS: "#1b7a43", DEVIATES: "#8a5a00", NONCONFORMING: "#a8323a", FAILS: "#a8323a"}
# Widths of letters in units of the font's size: narrow, wide, and all others.
_NARROW, _WIDE = frozenset("fijlrt.,:;1 ()'|"), frozenset("mwMW")
_SIZE = 11


def badge_text(s: Standing) -> str:
    """Return what the badge says of a target."""
    if s.verdict == FAILS:
        return count_text(s.failed, "unexplained failure")
    if s.verdict == DEVIATES:
        return count_text(len(s.findings), "known deviation")
    return s.verdict


def badge_svg(s: Standing) -> str:
    """Draw the badge."""
    text = badge_text(s)
    left, right = (_width(t) + 14 for t in (LABEL, text))
    title = f"{LABEL}: {s.name} {s.record.version}: {text} ({s.record.date})"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f"aria-label={quoteattr(title)}><title>{escape(title)}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="4"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="20" fill="#22303f"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[s.verdict]}"/></g>'
        f'<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="{_SIZE}">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 14}">{LABEL}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 14}">{escape(text)}</text></g></svg>\n'
    )


def _width(text: str) -> int:
    units = sum(0.4 if c in _NARROW else 0.95 if c in _WIDE else 0.64 for c in text)
    return round(units * _SIZE)
