"""``lossproof bisect``: the first release of a framework that changed a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.bisection import first_change
from lossproof.records.changes import state
from lossproof.repro.find import CasePlace, find_call
from lossproof.running.loop import run
from lossproof.running.session_options import Execution
from lossproof.targets import selection
from lossproof.targets.environments import interpreters, store
from lossproof.targets.environments.releases import releases, version, versions_between
from lossproof.targets.environments.upgrade_sides import environment_name
from lossproof.targets.launch import Processes
from lossproof.targets.target import spec


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search asks releases, from ``good`` to ``bad``, in what environments, and what of their answers counts."""

    good: str
    bad: str
    outputs: Sequence[str] = ()
    bits: bool = False
    package: str | None = None
    versions: str | None = None
    extra: Sequence[str] = ()
    python: str | None = None
    keep: bool = False


def bisect_command(target: str, id: str, *, search: Search, place: CasePlace, execution: Execution) -> int:
    """Search, print each step, and the release."""
    good, bad, package = search.good, search.bad, search.package
    named = spec(target)
    if named.environment:
        raise UsageError(
            f"target {target!r}: expected NAME[+MODE][:DEVICE][%VARIABLE=VALUE...]; environments are made for its "
            "releases"
        )
    if named.place and not package:
        raise UsageError(f"target {target!r} does not say whose releases are searched; add --package NAME")
    package = package or named.name
    store.requirement(f"{package}=={version(good)}")
    call = find_call(None if place.call_file else id, place)
    if version(good) == version(bad):
        raise UsageError(f"--good and --bad are both {good}; expected two releases")
    several = (
        search.versions.split(",")
        if search.versions
        else releases(package, interpreters.find_interpreter(search.python))
    )
    wanted = versions_between([v.strip() for v in several if v.strip()], good, bad)
    asker = _Asker(target, call, package, search, Processes(timeout=execution.timeout))
    click.echo(f"{call.id} on {target}: {package} {wanted[0]} to {wanted[-1]}, {len(wanted)} releases")
    try:
        found = first_change(wanted, asker.ask)
    finally:
        if not search.keep:
            asker.remove()
    click.echo(f"{package} {found.first} changed it: {found.before} in {found.last}, {found.after} in {found.first}")
    if found.unknown:
        click.echo(f"or one of those in between, which could not be asked: {', '.join(found.unknown)}")
    return 0


@dataclass
class _Asker:
    """Makes an environment for a release and plays the case in it."""

    target: str
    call: Call
    package: str
    search: Search
    processes: Processes
    made: list[str] = field(default_factory=list)

    def ask(self, release: str) -> str | None:
        """What the release answers; None if it cannot be installed."""
        requirements = (f"{self.package}=={release}", *self.search.extra)
        name = environment_name(requirements, self.search.python)
        click.echo(f"  {release}: ", nl=False)
        try:
            _, is_new = store.create(name, requirements, python=self.search.python)
            if is_new:
                self.made.append(name)
            several = selection.choose_targets([spec(self.target).within(name)], self.processes)
        except UsageError as error:
            click.echo(f"passed over: {error}")
            return None
        try:
            found = [o for o in run(several, [self.call]) if o.id == self.call.id]
        finally:
            selection.close(several)
        shown = [o for o in found if not self.search.outputs or o.output in self.search.outputs]
        if not shown:
            has = ", ".join(o.output for o in found) or "none"
            raise UsageError(f"{self.call.id} has no output {' or '.join(self.search.outputs)}; expected one of {has}")
        answer = "; ".join(self._said(o) for o in shown)
        click.echo(answer)
        for o in shown:
            if o.message:
                click.echo(f"    {o.message}")
        return answer

    def _said(self, o: Observation) -> str:
        """An observation as far as releases are compared in it."""
        conventions = [f"{clause}: {how}" for clause, how in sorted(o.conventions.items())]
        clauses = f" ({', '.join(conventions)})" if conventions else ""
        return f"{o.output} {state(o)}{clauses}" + (f" bits {o.bits}" if self.search.bits else "")

    def remove(self) -> None:
        """Delete what was made."""
        for name in self.made:
            store.remove(name)
