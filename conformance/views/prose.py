"""Markdown of the documents as HTML: code, emphasis and links, everything else as it is."""

from __future__ import annotations

import re
from html import escape

_SPAN = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)|\b([\w.-]+/[\w.-]+)#(\d+)\b")


def inline_html(text: str) -> str:
    """Convert one paragraph. Links that lead out are kept, those to other documents are their texts."""
    made, at = [], 0
    for found in _SPAN.finditer(text):
        made.append(escape(text[at : found.start()]))
        made.append(_converted(found))
        at = found.end()
    return "".join([*made, escape(text[at:])])


def issue_link(issue: str) -> str:
    """Return the address of ``owner/repository#123``; an empty text for anything else."""
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)#(\d+)", issue)
    return f"https://github.com/{found[1]}/issues/{found[2]}" if found else ""


def _converted(found: re.Match[str]) -> str:
    code, strong, label, address, repository, number = found.groups()
    if code:
        return f"<code>{escape(code)}</code>"
    if strong:
        return f"<strong>{escape(strong)}</strong>"
    if label:
        text = inline_html(label)
        return f'<a href="{escape(address)}" rel="noreferrer noopener">{text}</a>' if "://" in address else text
    return (
        f'<a href="{escape(issue_link(f"{repository}#{number}"))}" rel="noreferrer noopener">'
        f"{escape(repository)}#{number}</a>"
    )
