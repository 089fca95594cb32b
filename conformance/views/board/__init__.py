"""The board: a static site of many implementations, made of condensed records."""
