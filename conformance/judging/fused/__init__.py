"""One pass over the rows of regular calls: truth, bounds and verdicts, compiled.

What is computed is what ``truth`` and ``judge`` compute with arrays, entry by entry and in the same letters, without
arrays in between. Those stay the reference: whatever is not regular, does not pass, or has no compiler goes to them.
"""
