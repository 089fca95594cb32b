"""What holds for all tests: they judge what they judge, and leave nothing in the user's cache."""

from __future__ import annotations

import os

from lossproof.running.judgement_cache import OFF

os.environ.setdefault(OFF, "1")

pytest_plugins = ["tests.support.processor_time"]
