"""Environments hold other releases: they are made, found, probed and kept here."""
