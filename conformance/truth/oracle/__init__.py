"""Enclosures of the exact result: Arb balls, and a vectorised fast path whose radius is certified."""
