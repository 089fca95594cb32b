"""The allowed error, derived: ``docs/bounds.md`` in code."""
