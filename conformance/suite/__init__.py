"""The suite as pytest sees it: ``pytest --pyargs lossproof.suite --lossproof-target torch``."""
