"""Sweeps ask every input of a kind, bin by bin, in chunks that are known by their numbers."""
