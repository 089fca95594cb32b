"""lossproof: a conformance suite for the softmax family of losses."""

__version__ = "0.1.0"
