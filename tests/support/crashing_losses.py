"""Losses on arrays that end, block or fill the process that calls them, of three rows; of others they are right."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

import numpy as np


def _rows(logits: Any, labels: Any) -> Any:
    with np.errstate(all="ignore"):
        x = logits - logits.max(axis=1, keepdims=True)
        return np.log(np.exp(x).sum(axis=1)) - np.take_along_axis(x, labels[:, None], 1)[:, 0]


def segfault(logits: Any, labels: Any) -> Any:
    if len(logits) == 3:
        ctypes.string_at(0)
    return _rows(logits, labels)


def hang(logits: Any, labels: Any) -> Any:
    # As native code that never returns: no exception of Python's ends it.
    while len(logits) == 3:
        try:
            time.sleep(0.5)
        except BaseException:
            continue
    return _rows(logits, labels)


def leave(logits: Any, labels: Any) -> Any:
    if len(logits) == 3:
        os._exit(7)
    return _rows(logits, labels)


def abort(logits: Any, labels: Any) -> Any:
    if len(logits) == 3:
        os.abort()
    return _rows(logits, labels)


def memory(logits: Any, labels: Any) -> Any:
    if len(logits) == 3:
        raise MemoryError
    return _rows(logits, labels)
