"""The kill matrix: which mutants there are, what the deck makes of each, and the page that says so."""
