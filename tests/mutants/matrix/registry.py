"""The list of all mutants and controls, found by walking the package, and the rows of the kill table."""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import tests.mutants
from tests.mutants.kit.mutant import Mutant

# What of tests.mutants is about mutants and holds none; so are its tests.
_HELPERS = ("kit", "matrix", "__main__")


def modules(package: ModuleType = tests.mutants) -> Iterator[ModuleType]:
    """All modules that hold mutants, in the order of their names."""
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: (not m.ispkg, m.name)):
        if package is tests.mutants and (found.name in _HELPERS or found.name.startswith("test_")):
            continue
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        if found.ispkg:
            yield from modules(module)
        else:
            yield module


@functools.cache
def collect() -> dict[str, Mutant]:
    """All mutants and controls by id."""
    return collected({m.__name__: getattr(m, "MUTANTS", ()) for m in modules()})


def collected(by_module: Mapping[str, tuple[Mutant, ...]]) -> dict[str, Mutant]:
    """Mutants by id; a module without any and an id that is given twice are errors."""
    found: dict[str, Mutant] = {}
    where: dict[str, str] = {}
    for module, mutants in by_module.items():
        if not mutants:
            raise ValueError(
                f"{module} has no mutant: give it a tuple MUTANTS with one, or move it to tests/mutants/kit"
            )
        for mutant in mutants:
            if mutant.id in found:
                raise ValueError(f"{mutant.id!r} is in {where[mutant.id]} and in {module}: give one another name")
            # sanity check: a control must survive
            assert set(mutant.expect) <= set(mutant.dtypes), mutant.id
            assert (mutant.kind == "control") <= (mutant.expect == ()), mutant.id
            found[mutant.id], where[mutant.id] = mutant, module
    return found


def kill_table() -> list[dict[str, Any]]:
    """The rows of the kill table, which the deck was designed by: what must be killed, and what is below rounding."""
    text = (Path(__file__).parent / "kill_table.json").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows
