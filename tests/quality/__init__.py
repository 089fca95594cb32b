"""Statistical tests of the generators: does exploration find, by itself, what the deck was made to find?"""
