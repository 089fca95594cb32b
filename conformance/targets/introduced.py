"""An adapter that is elsewhere is known by the message with which its worker introduced itself."""

from __future__ import annotations

from typing import Any

from lossproof.adapters import wire
from lossproof.adapters.protocol import Capabilities, Description


class Introduced:
    """The part of a player that repeats what its worker said when it was started, in the message ``hello``."""

    hello: wire.Message

    def describe(self) -> Description:
        """Return the versions and build facts that the worker sent."""
        found: Description = self.hello["description"]
        return found

    def capabilities(self) -> Capabilities:
        """Return the capabilities that the worker sent."""
        found: Capabilities = self.hello["capabilities"]
        return found

    def evidence(self) -> dict[str, Any]:
        """Return the interpreter and the thread counts of the worker, as far as it sent them."""
        return {name: self.hello[name] for name in ("python", "numpy", "threads") if name in self.hello}
