"""Targets are lost where no process of theirs starts, or none gives an answer any more."""

from __future__ import annotations

from lossproof.core.errors import UsageError


class NotStartingError(UsageError):
    """No process of the target lives until its adapter is there: its interpreter is none, say, or the adapter exits."""


class TargetLostError(Exception):
    """The processes of a target have ended again and again, without one answer: it is asked no more."""
