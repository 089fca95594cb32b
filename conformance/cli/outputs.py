"""The views that the options of a command choose."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from lossproof.cli.shared_options import OutputOptions
from lossproof.core.errors import UsageError
from lossproof.running.session import Sink
from lossproof.views.github import GithubView, summary_file
from lossproof.views.json_summary import JsonView

JSON = "the summary"


def views(outputs: OutputOptions, place: Mapping[str, object]) -> dict[str, Sink]:
    """The views of a run beside its record and its tables, by what is lost where one fails.

    ``place`` are the options that tell ``lossproof repro`` the deck or record. Raises :class:`UsageError` without the
    packages that a view takes.
    """
    found: dict[str, Sink] = {}
    if outputs.html:
        from lossproof.views.html.html_view import HtmlView

        found[f"the page {outputs.html}"] = HtmlView(
            outputs.html, {"record": outputs.record} if outputs.record else place
        )
    if outputs.junit:
        from lossproof.views.junit import JunitView

        found[f"the JUnit file {outputs.junit}"] = JunitView(outputs.junit)
    if outputs.github or summary_file():
        found["the summary of the job"] = GithubView(summary_file(), err=outputs.as_json)
    if outputs.as_json:
        found[JSON] = JsonView()
    return found


def new_record(path: str | Path | None, *, overwrite: bool, hint: str = "") -> None:
    """Raise :class:`UsageError` for a record that would be lost: a file with something in it, unless it is to be
    overwritten. ``hint`` says what else could be done with it."""
    if path is None or overwrite:
        return
    with contextlib.suppress(OSError):
        if Path(path).is_file() and Path(path).stat().st_size:
            raise UsageError(f"{path} exists; {hint}replace it with --overwrite, or name another file")
