"""Sizes: wide rows, tall batches, one row without a batch, and nothing at all."""
