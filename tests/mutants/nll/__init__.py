"""Mutants of nll_loss."""
