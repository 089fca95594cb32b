"""Records keep what runs have shown, waivers explain it, and a diff says how two records differ. The room knows no
framework and no numerics.
"""
