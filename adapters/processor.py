"""Instruction sets: what the processor has, and which of them the kernels of a framework may use.

The names are those of Linux (``/proc/cpuinfo``); those of oneDNN's kernels are its own, in small letters. A set is a
text with spaces in between, as the facts of a description are, and empty where nothing is known. The variables with
which users limit a framework are read as the framework reads them: a value that it ignores is no limit.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Dict, Iterable, Iterator, Mapping, Optional, Tuple

# With the level of each, of x86 and of Arm: a framework that is told how far it may go leaves out what is beyond.
_LEVELS = {
    "sse4_1": 1,
    "sse4_2": 2,
    "avx": 3,
    "f16c": 3,
    "fma": 4,
    "avx2": 4,
    "avx_vnni": 5,
    "avx_vnni_int8": 5,
    "avx_ne_convert": 5,
    "avx512f": 6,
    "avx512bw": 6,
    "avx512dq": 6,
    "avx512vl": 6,
    "avx512_vnni": 7,
    "avx512_bf16": 8,
    "avx512_fp16": 9,
    "amx_tile": 10,
    "amx_int8": 10,
    "amx_bf16": 10,
    "amx_fp16": 11,
    "asimd": 0,
    "asimdhp": 1,
    "asimddp": 1,
    "bf16": 1,
    "i8mm": 1,
    "sve": 6,
    "sve2": 7,
}
NAMES = tuple(_LEVELS)
_ALL = max(_LEVELS.values())
# What NumPy calls differently, once it is in small letters.
_OF_NUMPY = {
    "sse41": "sse4_1",
    "sse42": "sse4_2",
    "fma3": "fma",
    "avx512vnni": "avx512_vnni",
    "avx512bf16": "avx512_bf16",
    "avx512fp16": "avx512_fp16",
}
# Groups of features for which NumPy has kernels since 2.4, and the highest level that is left without each.
_GROUPS = (("X86_V3", 2), ("X86_V4", 5))
# What XLA takes for --xla_cpu_max_isa, and the last level of each.
_XLA = {
    "SSE4_2": 2,
    "AVX": 3,
    "AVX2": 4,
    "AVX512": 6,
    "AVX512_VNNI": 7,
    "AVX512_BF16": 8,
    "AMX": 10,
    "AMX_FP16": 11,
}
_XLA_ON_ARM = {"NEON": 5, "SVE": 6}
# What PyTorch names, and the last level of each; others (AVX512, SVE256) leave everything.
_ATEN = {"default": 2, "avx2": 4}
# What oneDNN's kernels need, and the kernels that each limit leaves besides itself.
_SMALL = ("sse41", "avx", "avx2")
_ONEDNN: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "sse41": (("sse4_1",), ()),
    "avx": (("avx",), ("sse41",)),
    "avx2": (("avx2",), ("sse41", "avx")),
    "avx2_vnni": (("avx_vnni",), _SMALL),
    "avx2_vnni_2": (("avx_vnni", "avx_vnni_int8", "avx_ne_convert"), (*_SMALL, "avx2_vnni")),
    "avx512_core": (("avx512f", "avx512bw", "avx512dq", "avx512vl"), _SMALL),
    "avx512_core_vnni": (("avx512_vnni",), (*_SMALL, "avx512_core")),
    "avx512_core_bf16": (("avx512_bf16",), (*_SMALL, "avx512_core", "avx512_core_vnni")),
}
# TensorFlow turns oneDNN on by itself where one of these is there, on Linux.
_NEURAL = ("avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16")
_LIMITS = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
)
# Settings under which other kernels run, with their values; those of Arm are marked.
ATEN = ("ATEN_CPU_CAPABILITY=default", "ATEN_CPU_CAPABILITY=avx2")
ONEDNN = ("ONEDNN_MAX_CPU_ISA=SSE41", "ONEDNN_MAX_CPU_ISA=AVX2")
WITH_ONEDNN = ("TF_ENABLE_ONEDNN_OPTS=0", "TF_ENABLE_ONEDNN_OPTS=1")
XLA = ("XLA_FLAGS=--xla_cpu_max_isa=SSE4_2", "XLA_FLAGS=--xla_cpu_max_isa=AVX2", "XLA_FLAGS=--xla_cpu_max_isa=NEON")
_FOR_ARM = (XLA[2],)
_FOR_ALL = (ATEN[0], *WITH_ONEDNN)
Environment = Mapping[str, str]


def limits(environment: Environment = os.environ) -> Dict[str, str]:
    """Return what frameworks were told of instruction sets, as a fact; nothing if they were told nothing."""
    told = {name: environment[name] for name in _LIMITS if environment.get(name)}
    found = re.findall(r"--xla_cpu_max_isa=\S*", environment.get("XLA_FLAGS", ""))
    shown = ["%s=%s" % item for item in sorted(told.items())] + found[-1:]
    return {"limits": "; ".join(shown)} if shown else {}


def variables(*groups: Tuple[str, ...]) -> Tuple[str, ...]:
    """Return those variables of some groups that mean something on this processor."""
    is_arm = "asimd" in features().split()
    return tuple(v for group in groups for v in group if v in _FOR_ALL or (v in _FOR_ARM) == is_arm)


def numpy_features() -> Tuple[str, ...]:
    """Return the setting that leaves NumPy the least on x86, by names that this release knows."""
    names = [name for name, _ in reversed(_GROUPS)]
    known = names if names[0] in _table() else ["AVX512_SKX", "AVX512F", "AVX2", "FMA3"]
    return ("NPY_DISABLE_CPU_FEATURES=" + ",".join(known),)


def features() -> str:
    """The instruction sets of the processor, whatever anybody was told."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            line = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        line = ""
    return _ordered(line.partition(":")[2].split()) or _ordered(_named(_table()))


def of_numpy(table: Optional[Mapping[str, bool]] = None) -> str:
    """Return what NumPy's kernels may use, by its table of features, in which what was disabled is false."""
    known = _table() if table is None else table
    found = _ordered(_named(known))
    if not known.get("SSE2"):
        return found
    return _up_to(found, min([level for name, level in _GROUPS if known.get(name) is False] or [_ALL]))


def of_torch(capability: str) -> str:
    """Return what PyTorch's own kernels may use, by its name for them: ``DEFAULT``, ``AVX2``, ``AVX512``."""
    return _up_to(features(), _ATEN.get(capability.strip().lower(), _ALL))


def of_xla(environment: Environment = os.environ) -> str:
    """Return what XLA may compile for."""
    there = features()
    levels = _XLA_ON_ARM if "asimd" in there.split() else _XLA
    told = re.findall(r"--xla_cpu_max_isa=(\S*)", environment.get("XLA_FLAGS", ""))
    return _up_to(there, levels.get(told[-1].upper(), _ALL) if told else _ALL)


def of_onednn(environment: Environment = os.environ) -> str:
    """The kernels that oneDNN may choose from where a framework calls it; ``on`` is always among them."""
    there = set(features().split())
    limit = (environment.get("ONEDNN_MAX_CPU_ISA") or environment.get("DNNL_MAX_CPU_ISA") or "").lower()
    left = (limit, *_ONEDNN[limit][1]) if limit in _ONEDNN else tuple(_ONEDNN)
    return " ".join(("on", *(name for name, (needs, _) in _ONEDNN.items() if name in left and there.issuperset(needs))))


def is_left_out(message: str, environment: Environment = os.environ) -> bool:
    """Tell whether an exception says that oneDNN has no kernel, where it was told to leave some out.

    TensorFlow chooses oneDNN for a dtype by the processor, whatever oneDNN was told.
    """
    told = environment.get("ONEDNN_MAX_CPU_ISA") or environment.get("DNNL_MAX_CPU_ISA") or ""
    return told.lower() in _ONEDNN and "could not create a primitive" in message


def of_tensorflow_onednn(environment: Environment = os.environ) -> str:
    """Return the kernels of TensorFlow's oneDNN, or ``off``, by TensorFlow's rule; empty if not known."""
    told = environment.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
    there = set(features().split())
    if told in ("0", "false") or sys.platform == "darwin":
        return "off"
    if told not in ("1", "true"):
        if not sys.platform.startswith("linux") or not there or "asimd" in there:
            return ""
        if not there & set(_NEURAL):
            return "off"
    return of_onednn(environment)


def _table() -> Mapping[str, bool]:
    """NumPy's table of features; empty where it has none."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            found: Mapping[str, bool] = importlib.import_module(name).__cpu_features__
        except (ImportError, AttributeError):
            continue
        return found
    return {}


def _named(table: Mapping[str, bool]) -> Iterator[str]:
    for name in (name.lower() for name, there in table.items() if there):
        yield _OF_NUMPY.get(name, name)


def _ordered(found: Iterable[str]) -> str:
    there = set(found)
    return " ".join(name for name in NAMES if name in there)


def _up_to(found: str, level: int) -> str:
    return " ".join(name for name in found.split() if _LEVELS[name] <= level)
