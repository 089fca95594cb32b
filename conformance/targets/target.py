"""A target is an adapter on a device, in a mode, in an environment: its string, its discovery, its play."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from lossproof.adapters import kernel_times, local
from lossproof.adapters.protocol import Adapter, Capabilities, Description, Outcome, Problem
from lossproof.core.errors import UsageError
from lossproof.core.names import meant
from lossproof.core.profiles import Declared, default_profile
from lossproof.targets import exec_command
from lossproof.targets.exec_command import SCHEME
from lossproof.targets.launch import ONE_THREAD, environment
from lossproof.targets.player import Player, TimedPlayer

GROUP = "lossproof.adapters"
_FORM = "NAME[+MODE][:DEVICE][@ENVIRONMENT][%VARIABLE=VALUE...]"
_EXPECTED = (
    f"expected {_FORM}, such as torch, jax+jit, torch:cuda:0@./venv/bin/python or torch%ATEN_CPU_CAPABILITY=default"
)
# A name is an installed adapter's, or says where one is: file.py:ATTRIBUTE, package.module:ATTRIBUTE. That of a command
# has a form of its own.
_SPEC = re.compile(
    r"(?P<name>.+?\.py:[A-Za-z_][\w.]*|[A-Za-z_]\w*(\.\w+)+:[A-Za-z_][\w.]*|[A-Za-z_][\w.-]*?)"
    r"(\+(?P<mode>[\w-]+))?(:(?P<device>[a-z]+(:\d+)?))?(@(?P<environment>[^%]+))?(?P<variables>%.*)?"
)
_VARIABLE = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Target:
    """A target is an implementation under test, ready to be asked.

    ``environment`` is the interpreter as the target string has it, empty for this one; ``place`` is where the adapter
    is, if it is not installed under its name; ``variables`` are the environment variables of its process, in the order
    of the target string.
    """

    adapter: Adapter | Player
    mode: str = "eager"
    device: str = "cpu"
    environment: str = ""
    place: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    @cached_property
    def name(self) -> str:
        """The target string: ``torch``, ``jax+jit``, ``torch:cuda:0``."""
        mode = "" if self.mode == self.capabilities.modes[0] else f"+{self.mode}"
        device = "" if self.device == self.capabilities.devices[0] else f":{self.device}"
        environment = f"@{self.environment}" if self.environment else ""
        return f"{self.place or self.adapter.name}{mode}{device}{environment}{written(self.variables)}"

    @property
    def implementation(self) -> str:
        """The adapter in its environment, over all modes, devices and environment variables.

        Where the specification leaves a choice, an implementation makes it once for all its targets.
        """
        return f"{self.place or self.adapter.name}@{self.environment}" if self.environment else self.adapter.name

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities that the adapter has in the target's mode, at run time."""
        return self.adapter.capabilities().in_mode(self.mode, self.device)

    # Asking whether it is one looks at every attribute, which takes longer than some calls.
    @cached_property
    def player(self) -> Player | None:
        """The adapter, if it is one that is elsewhere."""
        return self.adapter if isinstance(self.adapter, Player) else None

    @property
    def conventions(self) -> Mapping[tuple[str, str, str], str]:
        """The conventions that the adapter declares, by clause, op and output."""
        return self.capabilities.conventions

    def script(self, problem: Problem) -> str:
        """Return a program of the framework alone that evaluates a problem as this target does."""
        if isinstance(self.adapter, Player):
            return self.adapter.script(problem)
        return self.adapter.script(problem, self.device, self.mode)

    def describe(self) -> Description:
        """Return the versions and build facts for the record's header."""
        return self.adapter.describe()

    def declared(self, op: str, dtype: str) -> Declared:
        """Return the error profile that the adapter declares for an op and dtype."""
        c = self.capabilities
        return Declared(c.profiles.get((op, dtype), default_profile(dtype)), c.online, c.mean)

    def takes(self, tier: str) -> bool:
        """Say whether calls of a tier are worth their compilation here: see ``Call.tier``."""
        return local.takes(self.capabilities, tier)

    def kernel_times(self, op: str, dtype: str, shape: tuple[int, int]) -> dict[str, float]:
        """Return the seconds of a copy, a value and a gradient of ``shape`` rows and classes; nothing where nobody can
        tell. Raises :class:`TargetLostError` where the target's process ends over it."""
        if self.player is not None:
            return self.player.kernel_times(op, dtype, shape) if isinstance(self.player, TimedPlayer) else {}
        adapter = cast(Adapter, self.adapter)
        return kernel_times.kernel_times(adapter, op, dtype, shape, self.device, self.mode)[0]

    def play(
        self, problems: Sequence[Problem], *, isolate: bool = False, watch: bool = False, alone: str = ""
    ) -> Iterator[Outcome]:
        """Put problems to the adapter, one outcome each.

        ``isolate`` keeps what they may corrupt from other calls, where the adapter is in a process of its own. With
        ``watch`` outcomes say which inputs were written into. The output ``alone`` is asked again without the others
        where an exception has taken all of them.
        """
        if self.player is not None:
            yield from self.player.outcomes(problems, isolate=isolate, watch=watch, alone=alone)
            return
        adapter = cast(Adapter, self.adapter)
        for problem in problems:
            yield local.answer(adapter, problem, self.device, self.mode, watch=watch, alone=alone)


@dataclass(frozen=True)
class Spec:
    """A target string taken apart; what it leaves open is empty. ``value`` says where the adapter is."""

    text: str
    name: str
    value: str
    mode: str = ""
    device: str = ""
    environment: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        """The name, if it says where the adapter is."""
        return self.name if self.name == self.value else ""

    @property
    def is_command(self) -> bool:
        """Say whether it is a program of its own."""
        return self.value.startswith(SCHEME)

    @property
    def needs_process(self) -> bool:
        """Say whether it cannot be in this process: another environment or program, or variables that are read at the
        start."""
        return bool(self.environment or self.variables or self.is_command)

    def within(self, environment: str) -> str:
        """Return the target string of the same in another environment, or in this one if that is empty. Raises
        :class:`UsageError` for a command, which has no environment."""
        if environment and self.is_command:
            raise UsageError(f"target {self.text!r} is a command: it runs in no environment of Python's")
        given = ((self.mode, "+"), (self.device, ":"), (environment, "@"))
        return "".join([self.name, *(sign + part for part, sign in given if part), written(self.variables)])

    def target(self, adapter: Adapter | Player) -> Target:
        """Make the target, its mode and device checked against what the adapter has."""
        c = adapter.capabilities()
        mode = self.mode or c.modes[0]
        devices = c.in_mode(mode).devices
        device = local.device_of(c.in_mode(mode), self.device)
        for what, given, known in (("mode", mode, c.modes), ("device", device, devices)):
            if given not in known:
                here = " here" if what == "device" else ""
                text = f"target {self.text!r}: {adapter.name} has no {what} {given!r}{here}"
                raise UsageError(f"{text}; expected one of {', '.join(known)}")
        return Target(adapter, mode, device, self.environment, self.place, self.variables)


def spec(text: str) -> Spec:
    """Read a target string. Raises :class:`UsageError` if it cannot be read or names no adapter."""
    is_command = text.startswith(SCHEME)
    match = (exec_command.COMMAND_FORM if is_command else _SPEC).fullmatch(text)
    if not match:
        raise UsageError(f"cannot read target {text!r}; {exec_command.EXPECTED if is_command else _EXPECTED}")
    given: dict[str, Any] = {k: v for k, v in match.groupdict().items() if v}
    name = given["name"]
    given["variables"] = _variables(text, given.get("variables", ""))
    if is_command:
        exec_command.check_program(text, exec_command.words(name), environment(given["variables"]))
        return Spec(text, value=name, **given)
    if ":" in name:
        file = name.rpartition(":")[0]
        if file.endswith(".py") and not os.path.isfile(file):
            raise UsageError(f"target {text!r}: there is no file {file}")
        return Spec(text, value=name, **given)
    found = known().get(name)
    command = exec_command.own_programs().get(name)
    if found is None and command is not None:
        if "environment" in given:
            raise UsageError(f"target {text!r} is a command: it runs in no environment of Python's")
        exec_command.check_program(text, exec_command.words(command), environment(given["variables"]))
        return Spec(text, value=command, **given)
    if found is None:
        names = [*known(), *exec_command.own_programs()]
        expected = f"{meant(name, names)}expected one of {', '.join(names)}"
        raise UsageError(f"unknown target {name!r}; {expected}, file.py:ATTRIBUTE, or exec:COMMAND")
    return Spec(text, value=found.value, **given)


def _variables(text: str, given: str) -> tuple[tuple[str, str], ...]:
    """Read ``%NAME=VALUE%OTHER=VALUE``."""
    found: dict[str, str] = {}
    for part in given.split("%")[1:]:
        name, is_set, value = part.partition("=")
        if not is_set or not _VARIABLE.fullmatch(name) or "@" in value:
            at = "; the environment comes before the variables" if "@" in value else ""
            raise UsageError(f"cannot read %{part} in target {text!r}; expected %VARIABLE=VALUE{at}")
        if name in found:
            raise UsageError(f"target {text!r} sets {name} twice")
        found[name] = value
    return tuple(found.items())


def written(variables: Iterable[tuple[str, str]]) -> str:
    """Return variables as a target string ends with them: ``%NAME=VALUE%OTHER=VALUE``."""
    return "".join(f"%{name}={value}" for name, value in variables)


def with_variables(program: str, variables: Iterable[tuple[str, str]]) -> str:
    """Return a program, the first line of which is its title, that sets variables before its first import."""
    lines = [f"os.environ[{name!r}] = {value!r}".replace("'", '"') for name, value in variables]
    title, _, rest = program.partition("\n")
    return "\n".join([title, "import os", *lines, rest]) if lines else program


def known() -> dict[str, EntryPoint]:
    """Return the adapters that are installed as entry points, by name."""
    return {e.name: e for e in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


def load_adapter(name: str) -> Adapter:
    """Import an adapter. Raises :class:`UsageError` if it is unknown or its framework is not installed."""
    return _load(spec(name))


def _load(s: Spec) -> Adapter:
    for variable, value in ONE_THREAD.items():
        os.environ.setdefault(variable, value)
    try:
        return local.load(s.value)
    except Exception as error:  # foreign code: a broken installation can raise anything
        raise import_failure(s, str(error), getattr(error, "name", None) or "") from error


def import_failure(s: Spec, why: str, missing: str) -> UsageError:
    """Make the error for an adapter that does not import."""
    if s.is_command:
        return UsageError(f"target {s.text}: {why}")
    if s.place:
        return UsageError(f"target {s.name} does not import: {why}")
    hint = f"pip install 'lossproof[{s.name}]'"
    if s.environment:
        hint = f"install it in {s.environment}"
    return UsageError(f"target {s.text}: {missing or s.name} is not installed or does not import ({why}); {hint}")


def target_here(s: Spec) -> Target:
    """Make the target in this process."""
    if s.needs_process:
        what = "a command needs" if s.is_command else "another environment needs" if s.environment else "variables need"
        raise UsageError(f"target {s.text!r}: {what} a process of its own; leave out --in-process")
    return s.target(_load(s))


def parse_target(text: str) -> Target:
    """Make a target in this process, from a string such as ``torch``, ``jax+jit`` or ``torch:cuda:0``."""
    return target_here(spec(text))


def installed() -> list[Target]:
    """Load every adapter whose framework is installed, in its default mode and device, in this process."""
    found = []
    for name in known():
        try:
            found.append(parse_target(name))
        except UsageError:
            continue
    return found
