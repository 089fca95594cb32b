"""Judges turn a target's outcomes and the truth into observations, for one call and for a check of several."""
