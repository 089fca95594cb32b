"""Mutants of softmax, and of softmax and log_softmax at once."""
