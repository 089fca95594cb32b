"""Mutants of cross_entropy."""
