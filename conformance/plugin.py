"""The pytest front door: options for ``pytest --pyargs lossproof.suite``.

This module is loaded by every pytest run in an environment that has lossproof installed, so it registers options and
little else: no import of the engine, no fixture, no hook that runs per test.
"""

from __future__ import annotations

from typing import Any

import pytest

# What is wrong with the options, found while the suite is collected. Raised there it would be an error of a module.
MISTAKE = pytest.StashKey[str]()
# What a worker of pytest-xdist found, and the name under which it sends that.
_TOLD, _SAID = pytest.StashKey[str](), "lossproof_mistake"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register ``--lossproof-*``; the prefix keeps clear of other plugins."""
    group = parser.getgroup("lossproof", "conformance of softmax and cross-entropy (pytest --pyargs lossproof.suite)")
    group.addoption(
        "--lossproof-target",
        action="append",
        default=[],
        metavar="TARGET",
        help="implementation under test, such as torch or jax+jit (repeatable; default: all installed)",
    )
    group.addoption(
        "--lossproof-deck", default="default", metavar="NAME", help="size of the deck: smoke, default or full"
    )
    for name, what in (("op", "operation"), ("dtype", "dtype"), ("family", "family of cases")):
        group.addoption(
            f"--lossproof-{name}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"only this {what} of the deck (repeatable)",
        )
    group.addoption("--lossproof-seed", default=0, type=int, metavar="N", help="seed of the deck and of exploration")
    group.addoption(
        "--lossproof-waivers",
        action="append",
        default=[],
        metavar="FILE",
        help="TOML file of known deviations, on top of the shipped ones (repeatable)",
    )
    group.addoption(
        "--lossproof-calls",
        action="append",
        default=[],
        metavar="PATH",
        help="a call in JSON, or a folder of them, replayed along with the deck (repeatable)",
    )
    group.addoption("--lossproof-to", metavar="DIR", help="folder for the calls that exploration finds to fail")
    group.addoption(
        "--lossproof-strict",
        action="store_true",
        help="unexpected passes and stale waivers fail, in versions they were seen in",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """End the session in one line and exit code 4 before workers of pytest-xdist start, if what is said of targets and
    the deck makes no sense: in each of them it would be an error of its own."""
    distributed = config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")
    if distributed and any(argument.startswith("lossproof.suite") for argument in config.args):
        from lossproof.core.errors import UsageError
        from lossproof.suite.given_options import check

        try:
            check(config)
        except UsageError as error:
            raise pytest.UsageError(f"lossproof: {error}") from None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session in one line and exit code 4 if the suite's options make no sense, such as a target that is not
    installed. A worker of pytest-xdist, whose error would be that of a module, is left without tests and says why."""
    mistake = config.stash.get(MISTAKE, "")
    if mistake and hasattr(config, "workeroutput"):
        config.workeroutput[_SAID] = mistake
        items[:] = []
    elif mistake:
        raise pytest.UsageError(f"lossproof: {mistake}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take from a worker what is wrong with the options."""
    mistake = getattr(node, "workeroutput", {}).get(_SAID)
    if mistake:
        node.config.stash[_TOLD] = mistake


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End with the exit code of a mistake also where workers found it."""
    if _TOLD in session.config.stash:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what workers found to be wrong with the options."""
    if _TOLD in config.stash:
        terminalreporter.write_line(f"ERROR: lossproof: {config.stash[_TOLD]}", red=True)
