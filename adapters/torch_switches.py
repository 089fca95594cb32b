"""The modes of PyTorch that are switches around ordinary calls: TF32, autocast, deterministic algorithms."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import replace
from typing import Iterator

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own convention)

from .protocol import Problem, UnsupportedProblem
from .torch_ops import DTYPES, NAMES

# What autocast computes matrix products in; logits of that dtype come out of them.
_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@contextmanager
def switched(mode: str, p: Problem, device: str) -> Iterator[None]:
    """Turn the switch of a mode on for the block; the other modes have none."""
    if mode == "autocast":
        with _autocast(p, device):
            yield
    elif mode == "deterministic":
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
    elif mode == "tf32":
        if not device.startswith("cuda"):
            raise UnsupportedProblem("TF32 is a format of CUDA devices")
        with _tf32():
            yield
    else:
        yield


def under(mode: str, p: Problem) -> Problem:
    """Return what is called in a mode: under autocast the wider dtype is PyTorch's doing, and nobody asks for it."""
    return replace(p, out_dtype=None) if mode == "autocast" else p


@contextmanager
def _autocast(p: Problem, device: str) -> Iterator[None]:
    """Compute in 16 bits what PyTorch holds safe, and the rest in float32.

    Raises :class:`UnsupportedProblem` where autocast gives the value another dtype than the problem's.
    """
    kind = device.partition(":")[0]
    narrow = NAMES[_AUTOCAST.get(p.dtype, torch.bfloat16)]
    found = _result(p.op, p.dtype, narrow, kind)
    if found != p.result_dtype:
        raise UnsupportedProblem("under autocast %s of %s is %s" % (p.op, p.dtype, found))
    with torch.autocast(kind, dtype=_AUTOCAST[narrow]):
        yield


@functools.lru_cache(maxsize=None)
def _result(op: str, dtype: str, narrow: str, kind: str) -> str:
    """Return the dtype that autocast gives the value of an op."""
    x = torch.zeros((1, 2), dtype=DTYPES[dtype], device=kind)
    labels = torch.zeros(1, dtype=torch.int64, device=kind)
    with torch.autocast(kind, dtype=_AUTOCAST[narrow]):
        value = getattr(F, op)(x, 1) if op in ("softmax", "log_softmax") else getattr(F, op)(x, labels)
    return NAMES[value.dtype]


@contextmanager
def _tf32() -> Iterator[None]:
    """Allow TF32 in matrix products and convolutions."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
