"""Cases are what is put to targets: families, options, the deck, relations, error cases, calls drawn by ``explore``.

Contributors start here.
"""
