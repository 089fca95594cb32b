"""Calls drawn by hypothesis: shapes, logits, options, and the search that climbs on the share of the bound."""
