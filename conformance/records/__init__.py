"""What stays of runs and how two of them differ: JSON Lines, waivers, diff. It knows no framework and no numerics."""
