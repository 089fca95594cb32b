"""The summary of a run for programs, as one JSON object."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click

from lossproof.core.observation import VERDICTS, Observation
from lossproof.records.record import json_ready
from lossproof.running.session import Ended
from lossproof.running.summary import GroupKey, Summary


@dataclass
class JsonView:
    """The summary of a run as one JSON object on standard output."""

    def add(self, o: Observation) -> None:
        """Do nothing: the summary has counted it."""

    def close(self, run: Ended) -> None:
        """Print the object."""
        click.echo(json.dumps(json_ready(as_object(run)), allow_nan=False))


def as_object(run: Ended) -> dict[str, Any]:
    """Collect everything that the tables of a run say, for programs. ``schema`` grows with what is no addition."""
    s = run.summary
    return {
        "lossproof": "summary",
        "schema": 1,
        "ok": not run.reasons and run.facts is not None,
        "complete": run.facts is not None,
        "reasons": list(run.reasons),
        "verdicts": {v: s.total[v] for v in VERDICTS if s.total[v]},
        "seconds": (run.facts or {}).get("seconds"),
        "deck": run.header.get("deck", {}),
        "targets": run.header.get("targets", {}),
        "withheld": run.header.get("withheld", {}),
        "cells": [
            {
                "target": target,
                "op": op,
                "dtype": dtype,
                "verdicts": dict(cell.verdicts),
                "worst_share": cell.share,
                "worst_ulp": cell.ulp,
                "declared": cell.declared,
                "met": cell.met,
            }
            for (target, op, dtype), cell in sorted(s.cells.items())
        ],
        "failures": [_group(s, key) for key, _ in s.ranked(s.groups)],
        "waived": dict(sorted(run.book.waived.items())),
        "unexpected_passes": [
            {"target": target, "waiver": name, "id": o.id, "output": o.output}
            for (target, name), o in sorted(s.unexpected.items())
        ],
        "conventions": [
            {"clause": clause, "op": op, "output": output, "targets": by_target}
            for (clause, op, output), by_target in sorted(s.conventions.items())
        ],
    }


def _group(s: Summary, key: GroupKey) -> dict[str, Any]:
    group = s.groups[key]
    # sanity check: a group has at least one member
    assert group.worst is not None
    names = ("target", "op", "dtype", "family", "output")
    return {
        **dict(zip(names, key, strict=True)),
        "count": group.count,
        "given": group.given,
        "symptoms": dict(group.kinds),
        "worst": {"id": group.worst.id, "share": group.worst.share, "message": group.worst.message},
    }
