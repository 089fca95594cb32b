"""A function in a process of its own: the process imports it, tries what it takes, and answers as a target does.

``ADAPTER`` is made in that process, of what the environment variable ``LOSSPROOF_FUNCTION`` says.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lossproof.adapters.giant import GiantDriver
from lossproof.adapters.protocol import Adapter, Capabilities, Description, Outcome, Problem
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import TRIAL
from lossproof.core.errors import UsageError
from lossproof.functions.callee import Callee
from lossproof.functions.declaration import Declaration
from lossproof.functions.function_adapter import FunctionAsAdapter
from lossproof.functions.memory.function_giants import giant_driver
from lossproof.functions.places import loaded, place_of
from lossproof.functions.prepare import prepared
from lossproof.functions.trial_findings import TrialFindings
from lossproof.targets.lane import NotImportableError
from lossproof.targets.launch import Launch, Processes
from lossproof.targets.lost import NotStartingError
from lossproof.targets.player import Player
from lossproof.targets.remote import Remote
from lossproof.targets.target import Target

VARIABLE = "LOSSPROOF_FUNCTION"
_HERE = f"{__name__}:ADAPTER"


@dataclass(frozen=True)
class IsolatedFunction:
    """An adapter in the process of a function; what trial calls have found out is among its facts."""

    found: TrialFindings
    adapter: Adapter

    @property
    def name(self) -> str:
        """The function's name."""
        return self.adapter.name

    def describe(self) -> Description:
        """Report what the adapter does, and what trial calls have found."""
        own, f = self.adapter.describe(), self.found
        facts = {
            "dtypes": json.dumps(f.dtypes),
            "kinds": json.dumps(f.kinds),
            "notes": json.dumps(f.notes),
            "broken": "" if f.broken is None else _text(f.broken),
            "start": "" if f.start is None else _text(f.start),
            "watched": json.dumps(f.watched),
        }
        return Description(own.versions, {**own.facts, **facts})

    def capabilities(self) -> Capabilities:
        """Offer what the function takes."""
        return self.adapter.capabilities()

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """Call the function."""
        return self.adapter.evaluate(problem, device, mode)

    @property
    def giant(self) -> GiantDriver | None:
        """The driver of giant problems, where there is one for the function."""
        return giant_driver(self.adapter) if isinstance(self.adapter, FunctionAsAdapter) else None

    def error_kind(self, error: Exception) -> str:
        """Classify an exception."""
        return self.adapter.error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write a program that calls the function."""
        return self.adapter.script(problem, device, mode)


def isolated(callee: Callee, declared: Declaration, limits: Processes) -> tuple[Target, TrialFindings]:
    """Start a function's process, and return it as a target with what its trial calls have found.

    Where trial calls end the process it is started without them, and asked everything that is not declared otherwise.
    Raises :class:`UsageError` for a function that cannot be imported there.
    """
    named = {name: place_of(f, name) for name, f in declared.given.items()}
    if callable(declared.pick):
        named["pick"] = place_of(declared.pick, "pick")
    plain = replace(declared, grad=None, derivatives={}, pick=None if "pick" in named else declared.pick)
    content = {"place": place_of(callee.call, callee.name), "named": named, "declared": plain, "name": callee.name}
    try:
        remote = _started(content, limits)
        lost = ""
    except NotStartingError as error:
        remote, lost = _started({**content, "tried": False}, limits), str(error)
    facts = remote.describe().facts
    notes = tuple(json.loads(facts["notes"]))
    if lost:
        notes = (f"trial calls ended its process, so that all is asked that is not declared otherwise ({lost})", *notes)
    broken, start = _problem(facts["broken"]), _problem(facts["start"])
    if lost:
        (answer,) = remote.outcomes([start], isolate=False, watch=False) if start is not None else (Outcome(),)
        broken = start if answer.error in ("crash", "timeout", "resource") else None
    found = TrialFindings(
        adapter=remote,
        dtypes=tuple(json.loads(facts["dtypes"])),
        kinds=tuple(json.loads(facts["kinds"])),
        notes=notes,
        broken=broken,
        start=start,
        watched=json.loads(facts["watched"]),
    )
    return Target(remote, device=declared.device), found


def _started(content: Mapping[str, Any], limits: Processes) -> Remote:
    text = base64.b64encode(pickle.dumps(dict(content))).decode("ascii")
    remote = Remote(content["name"], Launch(_HERE, variables=((VARIABLE, text),)), limits)
    try:
        remote.connect()
    except NotImportableError as error:
        raise UsageError(f"{content['name']} cannot be asked in another process: {error}") from None
    return remote


def _problem(text: str) -> Problem | None:
    return from_json(json.loads(text)).problem if text else None


def _text(p: Problem) -> str:
    return json.dumps(Call(p, TRIAL).to_json())


def _made() -> IsolatedFunction:
    content = pickle.loads(base64.b64decode(os.environ[VARIABLE]))
    given = {name: loaded(place) for name, place in content["named"].items()}
    d: Declaration = content["declared"]
    pick = given.pop("pick", d.pick)
    d = replace(d, grad=given.pop("vjp", None), derivatives=given, pick=pick, name=content["name"])
    found = prepared(loaded(content["place"]), d, tried=content.get("tried", True))
    # sanity check: what is prepared here is here
    assert not isinstance(found.adapter, Player)
    return IsolatedFunction(found, found.adapter)


def __getattr__(name: str) -> Any:
    if name != "ADAPTER":
        raise AttributeError(name)
    return _made()
