"""Adapters: one module a framework, imported lazily. Nothing here imports the engine."""
