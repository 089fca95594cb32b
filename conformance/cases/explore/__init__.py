"""Exploration draws calls by hypothesis (shapes, logits, options) and climbs on the share of the bound."""
