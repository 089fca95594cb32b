"""The cases of other projects' own tests, as problems: ``PYTHON -I boot.py ADAPTERS_DIR --peer NAME`` writes them to
standard output, in frames.

A source is a module of this folder with ``PACKAGE``, the distribution that the cases come with, and
``cases``, which yields a :class:`PeerCase` for each. It is read in a process of its own, as adapters are.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from importlib import metadata
from typing import Mapping, Optional, Sequence

from . import wire
from .protocol import Problem, Tensor
from .worker import taken_streams

# The module of each source.
SOURCES = {"onnx": "onnx_cases", "opinfo": "torch_cases"}


@dataclass(frozen=True)
class PeerCase:
    """A case of another project: the ``problem`` that it is, with the answer which it comes with, if it has one.

    ``name``    its name there
    ``problem`` None where no problem says the same
    ``answer``  the value that the project expects, or None where it says none
    ``reason``  why there is no problem
    """

    name: str
    problem: Optional[Problem]
    answer: Optional[Tensor] = None
    reason: str = ""


def main(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Write the cases of the source that is named to standard output, or why they cannot be read."""
    name = arguments[0]
    _, sink = taken_streams()
    with os.fdopen(sink, "wb") as out:
        try:
            source = importlib.import_module("%s.%s" % (__package__, SOURCES[name]))
            version = metadata.version(source.PACKAGE)
            cases = list(source.cases())
        except Exception as error:  # foreign code: tests of others may need anything
            text = "%s: %s" % (type(error).__name__, error)
            missing = str(getattr(error, "name", None) or "")
            out.write(wire.pack({"kind": "failed", "message": text, "missing": missing}))
            return
        out.write(wire.pack({"kind": "peer", "package": source.PACKAGE, "version": version, "cases": len(cases)}))
        for case in cases:
            out.write(wire.pack({"kind": "case", **vars(case)}))
