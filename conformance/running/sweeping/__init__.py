"""Sweeps are played chunk by chunk, here or by workers, and recorded as runs are."""
