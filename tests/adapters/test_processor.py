"""Instruction sets: what is left to each framework by its settings, and that frameworks agree with what is said."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from lossproof.adapters import processor
from lossproof.adapters.numpy import ADAPTER
from lossproof.running.header import cpu, flags
from tests.adapters.test_findings import SWITCHES
from tests.support.forked import run_program
from tests.support.thinned import nightly

# In the order of processor.NAMES.
HASWELL = "sse4_1 sse4_2 avx f16c fma avx2"
SKYLAKE = f"{HASWELL} avx512f avx512bw avx512dq avx512vl"
ZEN4 = f"{SKYLAKE} avx512_vnni avx512_bf16"
FOREST = f"{HASWELL} avx_vnni avx_vnni_int8 avx_ne_convert"
GRAVITON = "asimd asimdhp asimddp bf16 i8mm sve"
SMALL = "on sse41 avx avx2"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    return lambda there: monkeypatch.setattr(processor, "features", lambda: there)


@pytest.mark.parametrize(
    ("there", "settings", "left"),
    [
        (ZEN4, {}, f"{SMALL} avx512_core avx512_core_vnni avx512_core_bf16"),
        (SKYLAKE, {}, f"{SMALL} avx512_core"),
        (HASWELL, {}, SMALL),
        (FOREST, {}, f"{SMALL} avx2_vnni avx2_vnni_2"),
        (GRAVITON, {}, "on"),
        ("", {}, "on"),
        (ZEN4, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, SMALL),
        (ZEN4, {"ONEDNN_MAX_CPU_ISA": "sse41"}, "on sse41"),
        (ZEN4, {"DNNL_MAX_CPU_ISA": "AVX"}, "on sse41 avx"),
        (ZEN4, {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "SSE41"}, SMALL),
        (ZEN4, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, f"{SMALL} avx512_core"),
        (ZEN4, {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI_2"}, SMALL),
        (FOREST, {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI"}, f"{SMALL} avx2_vnni"),
        (HASWELL, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, SMALL),
        (SKYLAKE, {"ONEDNN_MAX_CPU_ISA": "nonsense"}, f"{SMALL} avx512_core"),
    ],
)
def test_onednn(there: str, settings: dict[str, str], left: str, on) -> None:  # type: ignore[no-untyped-def]
    on(there)
    assert processor.of_onednn(settings) == left


@pytest.mark.parametrize(
    ("there", "settings", "uses"),
    [
        (ZEN4, {}, True),
        (FOREST, {}, True),
        (SKYLAKE, {}, False),
        (HASWELL, {}, False),
        (HASWELL, {"TF_ENABLE_ONEDNN_OPTS": "1"}, True),
        (ZEN4, {"TF_ENABLE_ONEDNN_OPTS": "0"}, False),
        (ZEN4, {"TF_ENABLE_ONEDNN_OPTS": "False"}, False),
        (ZEN4, {"TF_ENABLE_ONEDNN_OPTS": ""}, True),
        ("", {}, None),
        (GRAVITON, {}, None),
    ],
)
def test_whether_tensorflow_uses_it(there: str, settings: dict[str, str], uses: bool | None, on, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    on(there)
    monkeypatch.setattr(sys, "platform", "linux")
    assert processor.of_tensorflow_onednn(settings) == {
        True: processor.of_onednn(settings), False: "off", None: ""
    }[uses]  # fmt: skip
    monkeypatch.setattr(sys, "platform", "darwin")
    assert processor.of_tensorflow_onednn(settings) == "off"


@pytest.mark.parametrize(
    ("there", "flags", "left"),
    [
        (ZEN4, "", ZEN4),
        (ZEN4, "--xla_cpu_max_isa=AVX2", HASWELL),
        (ZEN4, "--a --xla_cpu_max_isa=AVX512 --b", SKYLAKE),
        (ZEN4, "--xla_cpu_max_isa=AVX --xla_cpu_max_isa=avx2", HASWELL),
        (ZEN4, "--xla_cpu_max_isa=nonsense", ZEN4),
        (HASWELL, "--xla_cpu_max_isa=AVX512", HASWELL),
        (GRAVITON, "--xla_cpu_max_isa=AVX2", GRAVITON),
        (GRAVITON, "--xla_cpu_max_isa=NEON", GRAVITON.removesuffix(" sve")),
    ],
)
def test_xla(there: str, flags: str, left: str, on) -> None:  # type: ignore[no-untyped-def]
    on(there)
    assert processor.of_xla({"XLA_FLAGS": flags}) == left


def test_pytorch(on) -> None:  # type: ignore[no-untyped-def]
    on(ZEN4)
    assert [processor.of_torch(c) for c in ("AVX512", "AVX2", "DEFAULT", "")] == [ZEN4, HASWELL, "sse4_1 sse4_2", ZEN4]
    on(GRAVITON)
    assert [processor.of_torch(c) for c in ("SVE256", "DEFAULT")] == [GRAVITON, GRAVITON.removesuffix(" sve")]


def test_numpy() -> None:
    x86 = {"SSE2": True, "SSE41": True, "SSE42": True, "AVX": True, "F16C": True, "FMA3": True, "AVX2": True}
    wide = {f"AVX512{name}": True for name in ("F", "BW", "DQ", "VL")}
    assert processor.of_numpy({**x86, **wide}) == SKYLAKE
    assert processor.of_numpy({**x86, **wide, "X86_V3": True, "X86_V4": False}) == HASWELL
    assert processor.of_numpy({**x86, **wide, "X86_V3": False, "X86_V4": False}) == "sse4_1 sse4_2"
    assert processor.of_numpy({**x86, "AVX2": False, **dict.fromkeys(wide, False)}) == HASWELL.removesuffix(" avx2")
    assert (
        processor.of_numpy({"SSE2": False, "X86_V3": False, "X86_V4": False, "ASIMD": True, "SVE": True}) == "asimd sve"
    )
    assert processor.of_numpy({}) == ""


def test_limits_are_told_as_they_were_set() -> None:
    assert processor.limits({"HOME": "/", "XLA_FLAGS": "--other"}) == {}
    given = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "", "XLA_FLAGS": "--x --xla_cpu_max_isa=AVX"}
    assert processor.limits(given) == {"limits": "ONEDNN_MAX_CPU_ISA=AVX2; --xla_cpu_max_isa=AVX"}


def test_a_kernel_that_is_missing_is_left_out_only_where_there_is_a_limit() -> None:
    text = "Status: 3, message: could not create a primitive descriptor"
    assert processor.is_left_out(text, {"ONEDNN_MAX_CPU_ISA": "AVX2"})
    assert not processor.is_left_out(text, {})
    assert not processor.is_left_out(text, {"ONEDNN_MAX_CPU_ISA": "nonsense"})
    assert not processor.is_left_out("out of memory", {"ONEDNN_MAX_CPU_ISA": "AVX2"})


def test_evidence_has_what_the_processor_offers() -> None:
    assert cpu()["features"] == processor.features().split()
    assert set(cpu()["features"]) <= set(processor.NAMES)
    assert set(ADAPTER.describe().facts["isa"].split()) <= set(processor.NAMES)
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "default",
              "XLA_FLAGS": "--xla_cpu_max_isa=AVX2", "NPY_DISABLE_CPU_FEATURES": "X86_V4",
              "NPY_ENABLE_CPU_FEATURES": "X86_V3", "TF_ENABLE_ONEDNN_OPTS": "0"}  # fmt: skip
    assert flags(limits) == dict(sorted(limits.items()))


def test_processors_without_a_file_are_known_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", no_file)
    monkeypatch.setattr(processor, "_table", lambda: {"ASIMD": True, "ASIMDHP": True, "SVE": False, "SSE2": False})
    assert processor.features() == "asimd asimdhp"
    monkeypatch.setattr(processor, "_table", dict)
    assert processor.features() == ""


SHOW = """
import json
from lossproof.adapters import processor
from lossproof.targets.target import load_adapter
print(json.dumps([dict(load_adapter(NAME).describe().facts), processor.of_tensorflow_onednn()]))
"""


def facts(folder: Path, name: str, **settings: str) -> tuple[dict[str, str], str]:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    known = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS", "ATEN_CPU_CAPABILITY", "XLA_FLAGS")
    program = folder / "show.py"
    program.write_text(SHOW.replace("NAME", repr(name)), "utf-8")
    # What starts NumPy or JAX costs no more than a server would.
    packages = (name,) if name in ("tensorflow", "torch") else ()
    done = run_program(program, packages, variables=dict.fromkeys((*SWITCHES, *known)) | settings)
    assert done.returncode == 0, done.stderr
    found, rule = json.loads(done.stdout.splitlines()[-1])
    return found, rule


# A limit starts TensorFlow once more; the others ask processes that scripts of findings have started.
@pytest.mark.parametrize(
    "settings",
    [
        "",
        "TF_ENABLE_ONEDNN_OPTS=0",
        "TF_ENABLE_ONEDNN_OPTS=1",
        pytest.param("ONEDNN_MAX_CPU_ISA=AVX2", marks=nightly),
        pytest.param("TF_ENABLE_ONEDNN_OPTS=1 ONEDNN_MAX_CPU_ISA=AVX2", marks=nightly),
    ],
)
def test_tensorflow_says_what_the_rule_says(settings: str, tmp_path: Path) -> None:
    found, rule = facts(tmp_path, "tensorflow", **dict(s.split("=") for s in settings.split()))
    assert found["onednn"] == (rule or found["onednn"])
    assert found["isa"] == processor.features()
    assert found.get("limits", "") == "".join(s for s in settings.split() if "MAX" in s)


def test_pytorch_says_what_it_was_told(tmp_path: Path) -> None:
    found, _ = facts(tmp_path, "torch", ATEN_CPU_CAPABILITY="default")
    assert not {"avx2", "avx512f", "sve"} & set(found["isa"].split())
    assert found["limits"] == "ATEN_CPU_CAPABILITY=default"


def test_jax_says_what_it_was_told(tmp_path: Path) -> None:
    found, _ = facts(tmp_path, "jax", XLA_FLAGS="--xla_cpu_max_isa=AVX")
    assert not {"avx2", "avx512f"} & set(found["isa"].split())
    assert found["limits"] == "--xla_cpu_max_isa=AVX"


def test_numpy_says_what_was_disabled(tmp_path: Path) -> None:
    found, _ = facts(tmp_path, "numpy", NPY_DISABLE_CPU_FEATURES="AVX512F AVX512_SKX X86_V4")
    assert "avx512f" not in found["isa"].split()
