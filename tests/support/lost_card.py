"""NumPy's adapter on a card that is lost: its second call takes the card off the bus, with the process that uses it.

From then on there is the file ``GONE``, and no card.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Problem

CARD = "card:0"


class LostCard(NumpyAdapter):
    """Two modes, so that there is something to be run when the card is gone."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def capabilities(self) -> Capabilities:
        """As NumPy's, on two devices or on what is left."""
        devices = ("cpu",) if Path(os.environ["GONE"]).exists() else ("cpu", CARD)
        return replace(super().capabilities(), devices=devices, modes=("eager", "other"))

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """On the card until it is lost, and never again."""
        gone = Path(os.environ["GONE"])
        self._calls += device == CARD
        if self._calls == 2:
            gone.touch()
        if device == CARD and gone.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(problem, "cpu", "eager")


ADAPTER = LostCard()
