"""Evidence: what a record says of the machine, the software and the flags that can change bits."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossproof import __version__
from lossproof.adapters import processor
from lossproof.cases import kept_calls
from lossproof.cases.deck import digest
from lossproof.cases.deck_part import VERSION
from lossproof.cases.shard import UNDIVIDED
from lossproof.core.call import Call
from lossproof.running.session_options import DeckOptions
from lossproof.running.withheld import withheld
from lossproof.targets.target import Target

# Threads, instruction sets, precision modes and compilers: the variables that can change bits. TF_ is no prefix here,
# because Terraform keeps secrets under it.
_PREFIXES = (
    "ATEN_",
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "DNNL_",
    "JAX_",
    "KMP_",
    "MKL_",
    "NPY_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTORCH_",
    "TORCHINDUCTOR_",
    "TRITON_",
    "XLA_",
)
_NAMES = frozenset(
    {
        "NPROC",
        "NVIDIA_TF32_OVERRIDE",
        "TF_CUDNN_DETERMINISTIC",
        "TF_DETERMINISTIC_OPS",
        "TF_ENABLE_ONEDNN_OPTS",
        "TF_NUM_INTEROP_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_XLA_FLAGS",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    }
)
_PRIVATE = ("TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL")


def record_header(targets: Sequence[Target], calls: Sequence[Call], deck: DeckOptions) -> dict[str, Any]:
    """The first line of a record. ``calls`` are those of the deck, or of the shard of it."""
    shard, left_out = deck.shard, withheld(targets, calls)
    about = {"version": VERSION, "digest": "", "size": deck.size, "seed": deck.seed, **of_calls(calls)}
    kept = {call.id for call in kept_calls.load_calls(deck.kept)}
    peer = deck.peer
    if peer is not None:
        # Nothing makes them again: they travel with the record, as kept calls do.
        kept |= {call.id for call in calls}
        about["cases"] = peer.facts
    return {
        "suite": __version__,
        "deck": about | ({"kept": sorted(kept)} if kept else {}),
        "filters": deck.filters,
        **({"shard": {"index": shard.index, "of": shard.of}} if shard != UNDIVIDED else {}),
        **({"withheld": left_out} if left_out else {}),
        **evidence(targets),
    }


def evidence(targets: Sequence[Target]) -> dict[str, Any]:
    """Tell what the results of targets depend on beside what they are asked: versions, flags, hardware, the command."""
    return {
        "targets": {t.name: describe(t) for t in targets},
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cpu": cpu(),
        "environment": flags(os.environ),
        "command": ["lossproof", *sys.argv[1:]],
    }


def of_calls(calls: Sequence[Call]) -> dict[str, Any]:
    """Return the digest of the ids of calls, and the number of calls, as a header has them."""
    return {"digest": digest(calls), "calls": len(calls)}


def describe(target: Target) -> dict[str, Any]:
    """A target's own account: adapter, device, mode, versions, build facts, the conventions that it declares by
    ``"CLAUSE OP OUTPUT"``."""
    d = target.describe()
    return {
        "adapter": target.adapter.name,
        "device": target.device,
        "mode": target.mode,
        **({"variables": dict(target.variables)} if target.variables else {}),
        "versions": dict(d.versions),
        "facts": dict(d.facts),
        "implementation": target.implementation,
        "conventions": {" ".join(key): shown for key, shown in sorted(target.capabilities.conventions.items())},
        **(target.player.evidence() if target.player is not None else {}),
    }


def flags(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables among ``environment`` that can change bits, and none that may hold a secret."""
    wanted = {k: v for k, v in sorted(environment.items()) if k in _NAMES or k.startswith(_PREFIXES)}
    return {k: v for k, v in wanted.items() if not any(word in k for word in _PRIVATE)}


def cpu() -> dict[str, Any]:
    """Model, architecture, count and the instruction sets that libraries dispatch on.

    What each framework was left of them is in the description of its targets.
    """
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            model = value.strip()
    features = processor.features().split()
    return {"model": model, "machine": platform.machine(), "count": os.cpu_count(), "features": features}
