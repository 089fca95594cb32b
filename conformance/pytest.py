"""The checks of implementations as tests in a caller's own file: ``lossproof.pytest.parametrize_with_checks``.

The import costs nothing: the engine is imported when checks are made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

__all__ = ["parametrize_with_checks"]

# The test that fails for expected failures that no test has.
_STALE = "expected_failures"


class _PartCheck:
    """One check of an implementation, called by a test."""

    def __init__(self, name: str, judged: Callable[[], Any]) -> None:
        self.name = name
        self.was_called = False
        self._judged = judged

    def __call__(self) -> None:
        """Judge. Raises AssertionError with what is wrong; skips the test where there is nothing to judge."""
        __tracebackhide__ = True
        self.was_called = True
        found = self._judged()
        if found.failure:
            raise AssertionError(found.failure)
        if found.skipped:
            pytest.skip(found.skipped)

    def __repr__(self) -> str:
        return f"check {self.name}"


def parametrize_with_checks(
    implementations: Iterable[Any],
    *,
    expected_failures: Mapping[str, str] | None = None,
    deck: str = "default",
    seed: int = 0,
    errors: bool = True,
    **declared: Any,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrize a test with the checks of implementations, one for each op, dtype and family of cases.

    The test takes ``check``, and calls it::

        @parametrize_with_checks([my_loss, MyModule(), "torch"], op="cross_entropy")
        def test_losses(check):
            check()

    An implementation is a function, a module or a loss, of which everything holds that is ``declared`` in the words of
    ``check_implementation``, the op at least; ``(function, {"op": ..., ...})`` says something of that one alone. It may
    also be an adapter, or a target string such as ``torch+compile``. ``deck``, ``seed`` and ``errors`` are those of
    ``check_implementation``, too.

    ``expected_failures`` maps patterns of ids (``my_loss-cross_entropy-float16-*``) to reasons: these tests are
    expected to fail, and one that passes fails, as does a pattern that no test has.

    Raises ``lossproof.UsageError``, while tests are collected, for what is no implementation and for unknown names.
    """
    from lossproof.core.errors import UsageError
    from lossproof.functions.implementation_parts import PartOptions, in_parts

    expected = dict(expected_failures or {})
    for pattern, reason in expected.items():
        if not isinstance(reason, str) or not reason.strip():
            raise UsageError(f"expected_failures has no reason for {pattern!r}; expected {{pattern: reason}}")
    parts = in_parts(implementations, PartOptions(deck=deck, seed=seed, errors=errors), declared)
    made = []
    for name, (implementation, key) in parts.items():
        marks = [
            pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True)
            for pattern, reason in expected.items()
            if fnmatchcase(name, pattern)
        ]
        check = _PartCheck(name, functools.partial(implementation.judged, key))
        made.append(pytest.param(check, id=name, marks=marks[:1]))
    stale = [pattern for pattern in expected if not any(fnmatchcase(name, pattern) for name in parts)]
    if stale:
        made.append(pytest.param(_PartCheck(_STALE, functools.partial(_stale, stale, list(parts))), id=_STALE))
    return lambda test: pytest.mark.parametrize("check", made)(_calling(test))


def _stale(patterns: Iterable[str], names: list[str]) -> Any:
    from lossproof.core.case_id import nearest
    from lossproof.functions.implementation_parts import PartFound

    lines = [f"{pattern!r} matches no test; nearest: {nearest(pattern, names) or names[0]}" for pattern in patterns]
    return PartFound(failure="\n".join(["expected failures that nothing has:", *lines]))


def _calling(test: Callable[..., Any]) -> Callable[..., Any]:
    """A test that fails where it does not call its check: it would pass whatever the implementation does."""

    @functools.wraps(test)
    def calling(*args: Any, check: _PartCheck, **fixtures: Any) -> None:
        __tracebackhide__ = True
        check.was_called = False
        test(*args, check=check, **fixtures)
        if not check.was_called:
            raise pytest.fail.Exception(f"{test.__name__} has not called its check; write check()", pytrace=False)

    return calling
