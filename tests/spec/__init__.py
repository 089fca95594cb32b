"""Every clause of sections 2 to 5 of the specification, the calls that show it, and the mutants that violate it alone.

``python -m tests.spec`` writes docs/spec-coverage.md. To add a clause, add an entry with its literal quotation to the
module of its section; the tests fail where a word of these sections belongs to no entry.
"""
