"""Options of a session, by group: which cases are put, how targets run, and when a finding makes it fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.adapters.protocol import DTYPES, OPS
from lossproof.cases import kept_calls
from lossproof.cases.catalogue import check_names, divide, select
from lossproof.cases.chosen_ids import chosen, drawn_for
from lossproof.cases.known_calls import Memory
from lossproof.cases.shard import UNDIVIDED, Division, Shard
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.records.conditions import Subject
from lossproof.records.waivers import Book, waivers_in_force
from lossproof.running.peers.peer_calls import PeerCalls, peer_calls
from lossproof.targets import selection
from lossproof.targets.launch import TIMEOUT, Processes

_GIB = 2**30
# What narrows a deck, by its name in the header of a record, which is that of its option.
_RECORDED = {"ops": "op", "dtypes": "dtype", "families": "family", "ids": "id", "excluded": "exclude"}


@dataclass(frozen=True, kw_only=True)
class DeckOptions:
    """The choice of the calls that are put to targets.

    ``size`` is ``smoke``, ``default`` or ``full`` (the default deck, with every call for every target), ``seed`` draws
    another deck of that size. ``ops``, ``dtypes`` and ``families`` keep a part of it (all where they are empty),
    ``shard`` the part of it that one of several runs plays. ``kept`` are files of single calls, or folders of them,
    that are put after the deck. ``ids`` are globs, one of which a call has to match, ``excluded`` globs of those that
    are left out; the last parts of an id do as well. ``cases`` names a source of cases of another project, which take
    the place of the deck; ``ids`` may then be their own names.
    """

    size: str = "default"
    seed: int = 0
    ops: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    families: Sequence[str] = ()
    kept: Sequence[str] = ()
    ids: Sequence[str] = ()
    excluded: Sequence[str] = ()
    shard: Shard = UNDIVIDED
    cases: str = ""

    def check(self) -> None:
        """Look at the names before anything is drawn. Raises :class:`UsageError` for unknown ones."""
        if not self.cases:
            check_names(self.size, self.ops, self.dtypes, self.families)
            return
        check_names(self.size, self.ops, self.dtypes)
        if self.size != DeckOptions.size or self.seed or self.shard != UNDIVIDED or self.families:
            raise UsageError(
                f"the cases of {self.cases} take the place of a deck; leave out --deck, --seed, --shard and --family"
            )

    @property
    def peer(self) -> PeerCalls | None:
        """The cases of another project that take the place of the deck. Raises :class:`UsageError` where they cannot be
        read."""
        return peer_calls(self.cases) if self.cases else None

    def calls(self, memory: Memory | None = None) -> list[Call]:
        """The calls of the shard, in order; a ``memory`` saves drawing the numbers of large ones.

        Raises :class:`UsageError` for unknown names, and for ids that no call has.
        """
        kept = kept_calls.load_calls(self.kept)
        if self.peer is not None:
            return self._of_peer(self.peer, kept)
        division = None if self.shard == UNDIVIDED else self.division(self.shard.of)
        index = self.shard.index
        ops, dtypes = self.ops, self.dtypes
        if not ops and not dtypes and not kept and division is None:
            ops, dtypes = drawn_for(self.ids)
        drawn = select(self.size, self.seed, ops, dtypes, self.families, division=division, index=index, memory=memory)
        more = (call for call in kept if division is None or division.part_of(call) == index)
        calls = kept_calls.along(drawn, more)
        return chosen(calls, self.ids, self.excluded, whole=division is None) if self.ids or self.excluded else calls

    def _of_peer(self, peer: PeerCalls, kept: Sequence[Call]) -> list[Call]:
        own = [
            call
            for call in peer.calls
            if (not self.ops or call.outline.op in self.ops) and (not self.dtypes or call.outline.dtype in self.dtypes)
        ]
        calls = kept_calls.along(own, kept)
        if not calls:
            raise UsageError(f"no case of {self.cases} is of that op and dtype; leave out one of the filters")
        ids, excluded = peer.with_ids(self.ids), peer.with_ids(self.excluded)
        return chosen(calls, ids, excluded) if ids or excluded else calls

    def division(self, of: int) -> Division:
        """The division of the whole deck into so many shards. Raises :class:`UsageError` for unknown names."""
        kept = kept_calls.load_calls(self.kept)
        return divide(of, self.size, self.seed, self.ops, self.dtypes, self.families, along=kept)

    @property
    def filters(self) -> dict[str, list[str]]:
        """The names that the deck is narrowed to, by option."""
        several = {name: getattr(self, option) for option, name in _RECORDED.items()}
        return {name: list(values) for name, values in several.items() if values}

    @property
    def is_complete(self) -> bool:
        """Say whether a run of this deck plays everything: a waiver that matches nothing then is stale."""
        whole = self.size in ("default", "full") and not self.filters and self.shard == UNDIVIDED
        return whole and not self.cases

    @property
    def is_worth_timing(self) -> bool:
        """Say whether kernels are timed with it unless somebody says otherwise: once for a deck, and not for a few
        calls."""
        return self.size != "smoke" and not self.families and self.shard.index == 1 and not self.cases

    @property
    def kernels(self) -> list[tuple[str, str]]:
        """The ops and dtypes of the whole deck."""
        return [(op, dtype) for op in OPS if op in (self.ops or OPS) for dtype in self.dtypes or DTYPES]

    @property
    def place(self) -> dict[str, object]:
        """The options of ``lossproof repro`` that find a case of this deck again."""
        return {"deck": self.size, "seed": self.seed} | ({"cases": self.cases} if self.cases else {})

    @classmethod
    def recorded(cls, header: Mapping[str, Any]) -> DeckOptions:
        """The deck that the header of a record describes, without its shard. Raises KeyError, TypeError or
        AttributeError where it describes none."""
        facts, filters = header["deck"], header["filters"]
        given: dict[str, Any] = {option: tuple(filters.get(name, ())) for option, name in _RECORDED.items()}
        return cls(size=facts["size"], seed=facts["seed"], **given)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The way in which targets run.

    ``jobs`` targets run at once (0: one for each core), one call takes at most ``timeout`` seconds and one process at
    most ``memory`` GiB (0: half of the machine's). ``in_process`` runs them in this process, one after the other, where
    none of these limits holds and a crash ends the run. With ``cache`` an answer that was judged before is not judged
    again, but for a sample. With ``times_kernels`` the kernels of each target are timed at the end; None leaves that
    to the command.
    """

    jobs: int = 0
    timeout: float = TIMEOUT
    memory: float = 0.0
    in_process: bool = False
    cache: bool = True
    times_kernels: bool | None = None

    @property
    def processes(self) -> Processes | None:
        """The limits of the targets' processes; None if they run in this one."""
        if self.in_process or selection.PROCESSES is None:
            return None
        return Processes(self.jobs, self.timeout, int(self.memory * _GIB))


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Rules say what makes a session fail beside its failures.

    ``waivers`` are files of known deviations on top of the shipped ones; under ``strict`` waivers that no longer hold
    and faults that did not happen again are findings, too.
    """

    waivers: Sequence[str] = ()
    strict: bool = False

    def book(self, targets: Sequence[Subject], calls: Sequence[Call] = ()) -> Book:
        """The waivers in force for some targets and the calls of a deck.

        Raises :class:`UsageError` for files that cannot be read.
        """
        return waivers_in_force(targets, self.waivers, calls=calls)
