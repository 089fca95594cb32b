"""Other releases: environments made with them, found, probed and kept."""
