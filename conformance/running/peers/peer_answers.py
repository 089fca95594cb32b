"""The answers that come with other projects' cases, as a target: they are judged as a framework's are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lossproof.adapters.protocol import Capabilities, Description, Problem, Support, Tensor, UnsupportedProblem
from lossproof.core.call import Call
from lossproof.running.peers.peer_calls import PeerCalls


@dataclass(frozen=True)
class PeerAnswers:
    """An adapter that computes nothing: to each call it gives the answer that its case comes with."""

    peer: PeerCalls

    @property
    def name(self) -> str:
        """The name of the target."""
        return f"{self.peer.source.partition('@')[0]}-answers"

    def describe(self) -> Description:
        """Report the version of the package that has the cases."""
        return Description({self.peer.package: self.peer.version})

    @cached_property
    def _offered(self) -> Capabilities:
        outlines = [call.outline for call in self.peer.calls if call.id in self.peer.answers]
        ops = {p.op: Support("native") for p in outlines}
        return Capabilities(ops, tuple(dict.fromkeys(p.dtype for p in outlines)), outputs=("value",))

    def capabilities(self) -> Capabilities:
        """Offer the values of what there are answers to."""
        return self._offered

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Tensor]:
        """Return the answer of the case. Raises UnsupportedProblem where it has none."""
        found = self.peer.answers.get(Call(problem, self.peer.calls[0].family).id)
        if found is None:
            raise UnsupportedProblem("the case comes without an answer")
        return {"value": found}

    def error_kind(self, error: Exception) -> str:
        """Nothing is computed, so nothing fails but lossproof."""
        return "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """There is no program. Raises :class:`NotImplementedError`."""
        raise NotImplementedError("answers of cases are no program")
