"""The views that the options of a command choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lossproof.views.github import GithubView, summary_file
from lossproof.views.view import JsonView, View


@dataclass(frozen=True)
class Chosen:
    """The views that a command was asked for; ``as_json`` is in place of the tables."""

    views: Sequence[View] = ()
    as_json: bool = False


def chosen(
    *, html: str | None, junit: str | None, github: bool, as_json: bool, options: Mapping[str, object] | None = None
) -> Chosen:
    """The views of command line options; ``options`` are those that tell ``lossproof repro`` the deck or record."""
    views: list[View] = []
    if html:
        from lossproof.views.html.html_view import HtmlView

        views.append(HtmlView(html, options or {}))
    if junit:
        from lossproof.views.junit import JunitView

        views.append(JunitView(junit))

    if github or summary_file():
        views.append(GithubView(summary_file(), err=as_json))
    if as_json:
        views.append(JsonView())
    return Chosen(views, as_json)
