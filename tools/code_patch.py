"""A module that is imported becomes its mutant where it is: the code of its functions is exchanged.

To import everything again takes longer than most tests. What runs only at import, such as a constant, a default or a
decorator, cannot be exchanged so, which is said.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType


def patched(path: Path, before: str, after: str) -> bool:
    """Give the functions of the module at a path their code in another text of it; False, and nothing done, where what
    differs is more than that."""
    pairs = list(_pairs(*(compile(text, str(path), "exec", dont_inherit=True) for text in (before, after))))
    if any(_runs_at_import(a) and _own(a) != _own(b) for a, b in pairs):
        return False
    new = {(a.co_qualname, a.co_firstlineno): b for a, b in pairs}
    found = 0
    for function in gc.get_objects():
        # A proxy of something that is gone has a type, and nothing else that may be asked for.
        if type(function) is not FunctionType:
            continue
        code = new.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
        if code is not None and code.co_freevars == function.__code__.co_freevars and _is_of(function, path):
            function.__code__ = code
            found += 1
    return found > 0


def _is_of(function: FunctionType, path: Path) -> bool:
    return Path(function.__code__.co_filename).resolve() == path


def _runs_at_import(code: CodeType) -> bool:
    return not code.co_flags & inspect.CO_OPTIMIZED


def _own(code: CodeType) -> tuple[object, ...]:
    # Constants that compare equal are told apart: 1 is not True.
    constants = [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_code, code.co_names, code.co_varnames, constants


def _pairs(a: CodeType, b: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    yield a, b
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (a, b)]
    # Where a comprehension is gone, what surrounds it is exchanged with all that is in it.
    if [c.co_name for c in inner[0]] == [c.co_name for c in inner[1]]:
        for one, other in zip(*inner, strict=True):
            yield from _pairs(one, other)
