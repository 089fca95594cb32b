"""The views that the options of a command choose."""

from __future__ import annotations

from collections.abc import Mapping

from lossproof.cli.shared_options import OutputOptions
from lossproof.running.session import Sink
from lossproof.views.github import GithubView, summary_file
from lossproof.views.json_summary import JsonView


def views(outputs: OutputOptions, place: Mapping[str, object]) -> list[Sink]:
    """The views of a run beside its record and its tables; ``place`` are the options that tell ``lossproof repro`` the
    deck or record. Raises :class:`UsageError` without the packages that a view takes."""
    found: list[Sink] = []
    if outputs.html:
        from lossproof.views.html.html_view import HtmlView

        found.append(HtmlView(outputs.html, {"record": outputs.record} if outputs.record else place))
    if outputs.junit:
        from lossproof.views.junit import JunitView

        found.append(JunitView(outputs.junit))
    if outputs.github or summary_file():
        found.append(GithubView(summary_file(), err=outputs.as_json))
    if outputs.as_json:
        found.append(JsonView())
    return found
