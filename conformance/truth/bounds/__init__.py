"""Bounds on the allowed error, derived: ``docs/bounds.md`` in code."""
