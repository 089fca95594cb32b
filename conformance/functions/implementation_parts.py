"""The check of an implementation in parts, one for each op, dtype and family, so that a test runner can show each."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

from lossproof.adapters.protocol import Adapter
from lossproof.cases.catalogue import select, select_variant
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.variant import Variant
from lossproof.functions.callee import callee
from lossproof.functions.declaration import Declaration
from lossproof.functions.function_session import live_session, started
from lossproof.functions.prepare import kept_calls
from lossproof.functions.questions import for_functions, is_invalid_or_empty
from lossproof.functions.trial_findings import TrialFindings
from lossproof.running.report import Report, report
from lossproof.running.session_options import DeckOptions
from lossproof.targets import selection
from lossproof.targets.target import Target

# Op, dtype and family.
PartKey = tuple[str, str, str]
# The part of a function that says whether it answers an ordinary call at all.
ANSWERS = "answers"


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """Options of all parts: which deck they are of, and whether answers to invalid input are among them."""

    deck: str = "default"
    seed: int = 0
    errors: bool = True


@dataclass(frozen=True)
class PartFound:
    """The end of a part: ``failure`` says in a text what is wrong, ``skipped`` why nothing was judged."""

    failure: str = ""
    skipped: str = ""


@dataclass(eq=False)
class TargetInParts:
    """A target that is judged part by part."""

    target: Target
    options: PartOptions
    name: str = ""

    def __post_init__(self) -> None:
        self.name = self.name or self.target.name

    @cached_property
    def parts(self) -> list[PartKey]:
        """The parts in the order of the deck."""
        c = self.target.capabilities
        return [key for op in c.ops for key in _groups(op, tuple(c.dtypes), self.options)]

    def judged(self, key: PartKey) -> PartFound:
        """Judge a part."""
        calls = _groups(key[0], tuple(self.target.capabilities.dtypes), self.options)[key]
        return _found(_report(self.target, calls, self.options))


@dataclass(eq=False)
class FunctionInParts:
    """A function that is judged part by part; what it takes is found out when the first part is judged."""

    function: Any
    declared: Declaration
    options: PartOptions

    @property
    def name(self) -> str:
        """The function's name."""
        return callee(self.function, self.declared.name).name

    @cached_property
    def parts(self) -> list[PartKey]:
        """The parts in the order of the deck, and first of all whether an ordinary call is answered."""
        op, dtypes = self.declared.op, tuple(self.declared.dtypes or ())
        return [(op, "", ANSWERS), *_groups(op, dtypes, self.options, self.declared.variant)]

    @cached_property
    def _prepared(self) -> tuple[Target, TrialFindings]:
        return started(self.function, self.declared)

    @cached_property
    def _calls(self) -> dict[PartKey, list[Call]]:
        """The calls of each part; what is watched beside the deck is a relation, too."""
        d = self.declared
        groups = _groups(d.op, tuple(d.dtypes or ()), self.options, d.variant)
        if d.variant is not None:
            return groups
        whole = [call for calls in groups.values() for call in calls]
        return _grouped(d.op, for_functions(whole, self._prepared[1], self.options.seed))

    def judged(self, key: PartKey) -> PartFound:
        """Judge a part."""
        target, found = self._prepared
        _, dtype, family = key
        if family == ANSWERS:
            if found.broken is None:
                return PartFound()
            return _found(_report(target, [Call(found.broken, "ordinary", "trial")], self.options))
        if found.broken is not None:
            return PartFound(skipped=f"not even an ordinary call is answered, see the test {ANSWERS}")
        if dtype not in found.dtypes:
            notes = [note for note in found.notes if note.startswith(f"not asked: {dtype} ")]
            return PartFound(skipped=(notes or [f"{dtype} is not among its dtypes"])[0])
        kept, left = kept_calls(self._calls[key], self.declared)
        return _found(_report(target, kept, self.options)) if kept else PartFound(skipped="; ".join(left))


InParts = TargetInParts | FunctionInParts


def in_parts(implementations: Iterable[Any], options: PartOptions, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of some implementations by readable ids, each as an :data:`InParts` with a :data:`PartKey`.

    An implementation is an adapter, a target string, or a function, a module or a loss, of which all that is
    ``declared`` holds; ``(function, dict)`` declares something of this one alone. Raises :class:`UsageError` for
    anything else, and for unknown names.
    """
    names: Counter[str] = Counter()
    found: dict[str, Any] = {}
    if isinstance(implementations, str) or not isinstance(implementations, Iterable):
        raise UsageError("expected a list of functions, modules, adapters or target strings")
    for given in implementations:
        for one in _in_parts(given, options, declared):
            plain = re.sub(r"[^\w.+:@-]+", "", one.name) or "function"
            names[plain] += 1
            unique = plain if names[plain] == 1 else f"{plain}{names[plain]}"
            found |= {"-".join(filter(None, (unique, *key))): (one, key) for key in one.parts}
    if not found:
        raise UsageError("there is nothing to check; expected a list of functions, modules, adapters or target strings")
    return found


def _in_parts(given: Any, options: PartOptions, declared: Mapping[str, Any]) -> list[InParts]:
    if isinstance(given, str):
        return [TargetInParts(target, options) for target in selection.choose_targets([given])]
    if isinstance(given, Adapter):
        offered = given.capabilities()
        return [TargetInParts(Target(given, mode=offered.modes[0], device=offered.devices[0]), options)]
    own: Mapping[str, Any] = {}
    if isinstance(given, tuple):
        if len(given) != 2 or not isinstance(given[1], Mapping):
            raise UsageError("a tuple of another kind than (function, {'op': ..., ...})")
        given, own = given
        _of_all(own, callee(given, own.get("name", "")).name)
    said = {**declared, **own}
    known_names("argument", said, [f.name for f in fields(Declaration)])
    who = callee(given, said.get("name", ""))
    if "op" not in said:
        raise UsageError(f"which op is {who.name}? Say op='cross_entropy', or ({who.name}, {{'op': 'cross_entropy'}})")
    made = Declaration(**said)
    made.check()
    return [FunctionInParts(given, made, options)]


def _of_all(own: Mapping[str, Any], name: str) -> None:
    """Raise :class:`UsageError` for what is said of one function that holds for the tests of all."""
    for option in fields(PartOptions):
        if option.name in own:
            raise UsageError(
                f"{option.name} is of the tests of all functions, and not of {name} alone: "
                f"parametrize_with_checks([...], {option.name}={own[option.name]!r})"
            )


@lru_cache(maxsize=8)
def _groups(
    op: str, dtypes: tuple[str, ...], options: PartOptions, variant: Variant | None = None
) -> dict[PartKey, list[Call]]:
    if variant is not None:
        found = select_variant(op, dtypes or tuple(FORMATS), variant, deck=options.deck, seed=options.seed)
        return _grouped(op, found)
    whole = select(options.deck, options.seed, (op,), dtypes)
    return _grouped(op, (call for call in whole if options.errors or not is_invalid_or_empty(call)))


def _grouped(op: str, calls: Iterable[Call]) -> dict[PartKey, list[Call]]:
    groups: dict[PartKey, list[Call]] = {}
    for call in calls:
        groups.setdefault((op, call.outline.dtype, call.family), []).append(call)
    return groups


def _report(target: Target, calls: Sequence[Call], options: PartOptions) -> Report:
    deck = DeckOptions(size=options.deck, seed=options.seed, ops=(calls[0].outline.op,))
    # Overflows of a function are provoked, also where a project makes errors of warnings.
    with closing(live_session(target, calls, deck)) as session, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return report(session)


def _found(found: Report) -> PartFound:
    if found.failures:
        try:
            replace(found, reasons=()).raise_on_failure(limit=3)
        except AssertionError as error:
            return PartFound(failure=str(error))
    if not found.judged:
        return PartFound(skipped="; ".join([*found.unsupported, *found.reasons][:2]) or found.withheld)
    return PartFound()
