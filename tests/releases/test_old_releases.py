"""Old releases in environments of their own: the adapters run there, and what is known to be wrong is reported.

Marked ``old``: it needs an old Python, which is found with pyenv, uv or on PATH, and the package index. Where either is
missing the tests are skipped and say why.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossproof.cli.main import cli
from lossproof.core.errors import UsageError
from lossproof.records import record
from lossproof.targets.environments import interpreters
from tests.support.old_releases import NUMPY, RELEASES, Release, table
from tests.support.thinned import WHOLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "old-releases.md"
NO_NETWORK = ("NewConnectionError", "Failed to establish a new connection", "error sending request", "dns error")


def lossproof(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="lossproof")


def python_of(release: Release) -> str:
    """The first of its Pythons that is here."""
    missing = []
    for version in release.pythons:
        try:
            interpreters.find_interpreter(version)
        except UsageError as error:
            missing.append(str(error))
        else:
            return version
    pytest.skip(missing[0])


def named(release: Release) -> str:
    return release.environment


@pytest.mark.old
@pytest.mark.parametrize("release", RELEASES, ids=named)
def test_a_run_reports_what_is_known_to_be_wrong(release: Release, tmp_path: Path) -> None:
    made = lossproof("env", "create", release.environment, *release.requirements, "--python", python_of(release))
    if made.exit_code and any(text in made.stderr for text in NO_NETWORK):
        pytest.skip(f"no network: {made.stderr[-300:]}")
    assert made.exit_code == 0, made.stderr
    path = tmp_path / "r.jsonl"
    # Where nothing is to be found a part of the deck finds as much.
    part = ("--shard", "1/6") if release.conforms and not WHOLE else ()
    asked = (*release.targets(), *release.options(), *part)
    result = lossproof("run", *asked, "--deck", "default", "--record", str(path), "--quiet")
    assert result.exit_code in (0, 1), result.stderr
    if release.conforms:
        assert result.exit_code == 0, result.stdout
    unreported = list(release.bugs)
    for o in record.read_record(path):
        mode = o.target.partition("@")[0].partition("+")[2]
        unreported = [bug for bug in unreported if bug.mode != mode or not bug.reported_by(o)]
    assert [bug.id for bug in unreported] == []


def test_the_page_is_up_to_date() -> None:
    command = "python -m tests.support.old_releases > docs/old-releases.md"
    assert PAGE.read_text("utf-8") == "\n".join(table()) + "\n", command


def test_every_bug_is_one_of_the_table_of_upstream_bugs() -> None:
    known = (PAGE.parent / "mutants.md").read_text("utf-8")
    names = [bug.id for r in RELEASES for bug in r.bugs] + [name for r in RELEASES for name, _ in r.other]
    # sanity check: there is something to check
    assert names
    assert [name for name in names if f"| {name} (" not in known] == []
    assert NUMPY in RELEASES
