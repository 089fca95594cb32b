"""What is asked: families, options, the deck, relations, error cases, and calls drawn by ``explore``.

Contributors start here.
"""
