"""The vocabulary: formats, operations, calls, batches, observations, ids, error profiles, clauses. It computes nothing
that is judged.
"""
