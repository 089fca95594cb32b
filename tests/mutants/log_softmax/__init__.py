"""Mutants of log_softmax alone."""
