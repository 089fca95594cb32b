"""A remote adapter is in a process of its own: faults cost one call, and the process is started again.

Calls that are marked for it have a process apart, so that what they corrupt is nobody else's: the one of the others,
where none of them comes any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from lossproof.adapters import local, wire
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.targets.introduced import Introduced
from lossproof.targets.lane import Lane
from lossproof.targets.launch import Launch, Processes
from lossproof.targets.lost import NotStartingError
from lossproof.targets.process import Fault


class Remote(Introduced):
    """A remote adapter passes on what a worker says of itself and answers; :meth:`connect` starts it."""

    def __init__(self, name: str, launch: Launch, limits: Processes) -> None:
        self.name = name
        self.hello = {}
        self._launch = launch
        self._lane = Lane(launch, limits)
        self._apart = Lane(launch, limits, apart=True)

    def connect(self) -> None:
        """Start the process.

        Raises :class:`NotImportableError` if the adapter does not import, :class:`NotStartingError` if the process does
        not live until it could say so.
        """
        try:
            self.hello = self._lane.start()
            self.name = self.hello["adapter"]
        except Fault as fault:
            raise NotStartingError(str(fault)) from None

    def script(self, problem: Problem) -> str:
        """Return the adapter's own script for a problem. Raises :class:`UsageError` where it has none."""
        return self._lane.script(problem)

    def asked(self, message: wire.Message) -> wire.Message | None:
        """Return the reply to a message that workers in Python alone understand; None of a command, which does not.
        Raises :class:`Fault` where the process ends over it."""
        return None if self._launch.is_command else self._lane.asked(message)

    def isolate_from_here(self) -> None:
        """Play isolated calls in the process of the others, of which none comes any more."""
        self._apart.take_over(self._lane)

    def renew(self) -> None:
        """End the process: the next call has a fresh one, which holds nothing."""
        self._lane.close()

    def outcomes(
        self, problems: Sequence[Problem], *, isolate: bool, watch: bool, alone: str = ""
    ) -> Iterator[Outcome]:
        """Yield one outcome for each problem; ``isolate`` sends them to the process apart.

        A command is asked for nothing that it does not offer; adapters in Python have a worker that sees to that.
        """
        lane = self._apart if isolate else self._lane
        if not self._launch.is_command:
            yield from lane.play(problems, watch=watch, alone=alone)
            return
        offer = self.capabilities().in_mode(self._launch.mode or self.capabilities().modes[0], self._launch.device)
        for why, some in groupby(problems, lambda p: local.refusal(self.name, offer, p)):
            if why:
                yield from (Outcome(error="unsupported", message=why) for _ in some)
            else:
                yield from lane.play(list(some), watch=watch, alone=alone)

    def kernel_times(self, op: str, dtype: str, shape: tuple[int, int]) -> dict[str, float]:
        """Return the seconds of an op in the worker; nothing of a command, which is asked for answers alone. Raises
        :class:`TargetLostError` where the worker ends over it."""
        return {} if self._launch.is_command else self._lane.kernel_times(op, dtype, shape)

    @property
    def start_seconds(self) -> float:
        """The seconds until the processes were ready, summed over all that were started."""
        return self._lane.seconds + self._apart.seconds

    def processor_seconds(self) -> float | None:
        """Return the processor seconds of the processes so far; None where nothing says so."""
        return self._lane.processor_seconds() + self._apart.processor_seconds() or None

    @property
    def restarts(self) -> int:
        """The number of processes that had to be started again."""
        return max(0, self._lane.starts - 1) + max(0, self._apart.starts - 1)

    def interrupt(self) -> None:
        """End both processes from another thread, and with them what is going on."""
        self._lane.interrupt()
        self._apart.interrupt()

    def close(self) -> None:
        """End the processes."""
        self._lane.close()
        self._apart.close()
