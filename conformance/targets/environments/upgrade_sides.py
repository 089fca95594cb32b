"""The two sides of an upgrade: a requirement, a file of them, or a target that is there already."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from lossproof.core.errors import UsageError
from lossproof.targets.environments import requirement_files, store
from lossproof.targets.target import known, spec


@dataclass(frozen=True)
class UpgradeSide:
    """One side of an upgrade, named by ``label``, is an environment, and perhaps one target in it.

    ``requirements`` are those of an environment that is to be made, ``environment`` is the name or path of one that is
    there (empty: this one). ``target`` is the target, if a side names it.
    """

    label: str
    requirements: tuple[str, ...] = ()
    environment: str = ""
    target: str = ""

    def named(self, target: str) -> str:
        """Return the string of a target on this side."""
        return spec(target).within(self.environment)


def side(text: str) -> UpgradeSide:
    """Read ``torch==2.13.0``, ``torch@NAME``, ``torch+compile@/path/to/python`` or ``torch``, which is what is
    installed here. Raises :class:`UsageError` if it is neither a requirement nor a target."""
    try:
        found = spec(text)
    except UsageError:
        found = None
    # package@https://... is a requirement.
    if found is not None and "://" not in found.environment:
        return UpgradeSide(text, environment=found.environment, target=found.within(""))
    try:
        requirement = store.requirement(text)
    except UsageError:
        raise UsageError(
            f"cannot read {text!r}; expected a requirement such as torch==2.13.0, or a target such as torch, "
            "torch+compile@NAME or torch@/path/to/python"
        ) from None
    return UpgradeSide(text, requirements=(requirement,))


def side_of_file(path: str) -> UpgradeSide:
    """Read the side of a requirement file. Raises :class:`UsageError` if it asks for nothing."""
    found = requirement_files.read_requirements(path)
    if not found:
        raise UsageError(f"{path} has no requirements")
    return UpgradeSide(path, requirements=tuple(map(store.requirement, found)))


def compared_targets(sides: tuple[UpgradeSide, UpgradeSide], given: Sequence[str]) -> list[tuple[str, str]]:
    """Return the targets to compare, a pair for each.

    They are those ``given``, or what the sides name, or the adapters of what they ask for. Raises :class:`UsageError`
    where that is not clear.
    """
    if given:
        placed = [name for name in given if spec(name).environment]
        if placed:
            raise UsageError(f"--target {placed[0]} has an environment; expected NAME[+MODE][:DEVICE], for both sides")
        return [(name, name) for name in dict.fromkeys(given)]
    mine, other = ([s.target] if s.target else adapters_of(s.requirements) for s in sides)
    if sides[0].target and not sides[1].target:
        # The mode that one side names is meant on both.
        other = mine if spec(mine[0]).name in other else other
    elif sides[1].target and not sides[0].target:
        mine = other if spec(other[0]).name in mine else mine
    both = [name for name in mine if name in other]
    if both:
        return [(name, name) for name in both]
    if len(mine) == len(other) == 1:
        _both_named(sides, (mine[0], other[0]))
        return [(mine[0], other[0])]
    raise UsageError(
        f"cannot tell what to judge in {sides[0].label} and {sides[1].label}; say so with --target, one of "
        f"{', '.join(known())}"
    )


def _both_named(sides: tuple[UpgradeSide, UpgradeSide], found: tuple[str, str]) -> None:
    """Raise :class:`UsageError` where one side names the adapter of a file and the other names none.

    That the two are to be compared is said nowhere.
    """
    for s, other, name in ((sides[0], sides[1], found[1]), (sides[1], sides[0], found[0])):
        if s.target and spec(s.target).place and not other.target:
            raise UsageError(
                f"{s.label} is an adapter of its own, and {other.label} would be judged with {name}; name both to "
                f"compare them, such as {name}@NAME, or give --target for one adapter on both sides"
            )


def adapters_of(requirements: Sequence[str]) -> list[str]:
    """Return the installed adapters of distributions by name: torch of torch, tensorflow of tensorflow-cpu."""
    names = [canonicalize_name(store.distribution(r)) for r in requirements]
    exact = [a for a in known() if a in names]
    return exact or [a for a in known() if any(name.startswith(f"{a}-") for name in names)]


def with_environment(
    s: UpgradeSide, extra: Sequence[str], python: str | None, *, fresh: bool, say: Callable[[str], None]
) -> UpgradeSide:
    """Make or keep the environment of a side, and return the side with its name.

    The name says which requirements and which Python it is made of.
    """
    if not s.requirements:
        return s
    wanted = (*s.requirements, *extra)
    name = environment_name(wanted, python)
    environment, is_new = store.create(name, wanted, python=python, force=fresh, say=say)
    say(f"{s.label}: {environment} ({'made' if is_new else f'kept, of {environment.created[:10]}'})")
    return replace(s, environment=name)


def environment_name(requirements: Sequence[str], python: str | None) -> str:
    """Return a name for an environment: its first requirement, and a digest of all of them and of the Python."""
    of = [*sorted(requirements), python or "{}.{}".format(*sys.version_info[:2])]
    digest = hashlib.sha256("\n".join(of).encode()).hexdigest()[:6]
    first = Path(requirements[0]).name if "/" in requirements[0] else requirements[0]
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', first).strip('-.')}-{digest}"
