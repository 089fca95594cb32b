"""Targets are the implementations that are asked: target strings, processes, other releases in ``environments``."""
