"""The coverage matrix: its cells, how often a deck asks each, and the calls that leave none empty."""
