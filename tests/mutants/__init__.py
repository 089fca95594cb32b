"""Wrong implementations that the suite must kill, and correct controls that it must never touch.

``python -m tests.mutants`` prints the kill matrix. To add a mutant, add one entry with its mechanism to the module of
its op; if it is a row of the kill table in TOLERANCES, add it to ``manifest.json`` as well.
"""
