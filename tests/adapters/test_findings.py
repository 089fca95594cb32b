"""Findings: every waiver has its story and its script, every script shows the defect that the story tells of."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.version import Version

from lossproof.adapters import processor
from lossproof.records.conditions import SETS, Context
from lossproof.records.waivers import Waiver, shipped
from tests.support.forked import run_program
from tests.support.thinned import nightly

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "golden" / "waivers"
# Those of kernels of Triton.
KERNELS = ("liger_kernel", "flash_attn")
# Losses that libraries have on top of PyTorch, and one of its own that has an adapter of its own.
ON_TORCH = (
    "executorch",
    "transformers",
    "timm",
    "fastai",
    "monai",
    "torchmetrics",
    "segmentation_models_pytorch",
    "torch_linear",
    "fairseq2",
    *KERNELS,
)
# What programs for Node take: the package that is judged first, then backends and the driver of browsers.
JAVASCRIPT = {
    "tfjs": (
        "@tensorflow/tfjs",
        "@tensorflow/tfjs-backend-wasm",
        "@tensorflow/tfjs-backend-webgpu",
        "playwright-core",
    ),
    "onnxruntime_node": ("onnxruntime-node",),
    "onnxruntime_web": ("onnxruntime-web",),
}
ADAPTERS = (
    *("torch", "tensorflow", "jax", "keras", "numpy", "tinygrad", "onnxruntime", "ncnn", "iree"),
    *JAVASCRIPT,
    *("mindspore", "mlx", "paddle"),
    *("autograd", "dask", "onnx", "openvino", "optax", "pytensor", "scipy", "ggml"),
    *ON_TORCH,
)
# Those whose scripts need NumPy, too, for arrays of an exact dtype.
WITH_NUMPY = (
    *("tinygrad", "ncnn", "iree", "mindspore", "mlx", "paddle"),
    *("autograd", "dask", "onnx", "openvino", "pytensor", "scipy", "ggml"),
)
# Those that start threads when they are imported: no process that has them can be forked.
THREADED = ("mindspore", "onnxruntime", "openvino")
PACKAGES = {
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "onnxruntime": ("onnxruntime", "onnxruntime-webgpu", "onnxruntime-gpu"),
    "iree": ("iree-base-compiler",),
    "torch_linear": ("torch",),
    "paddle": ("paddlepaddle",),
    "ggml": ("ggml-python",),
}
# What decides whether some of the defects show; frameworks read it when they are imported.
SWITCHES = ("TF_ENABLE_ONEDNN_OPTS", "JAX_SOFTMAX_CUSTOM_JVP")
FIELDS = ("Exact", "Observed", "Versions", "Clause", "Script", "Upstream", "Deck")
WAIVERS = shipped(ADAPTERS)


@dataclass(frozen=True)
class Section:
    """One finding of the page: its heading, and its list of fields."""

    name: str
    fields: dict[str, str]

    @property
    def script(self) -> Path:
        return ROOT / self.fields["Script"].strip("`")

    @property
    def backend(self) -> str:
        """The framework that Keras runs on in the script: TensorFlow, if the script leaves it open."""
        if self.adapter != "keras":
            return ""
        found = re.search(r'^os.environ\["KERAS_BACKEND"\] = "(\w+)"$', self.script.read_text("utf-8"), re.MULTILINE)
        return found.group(1) if found else "tensorflow"

    @property
    def runs_on(self) -> str:
        """The package that the backend of Keras needs: its numpy imports JAX; that which kernels are written in."""
        if self.adapter in KERNELS:
            return "triton"
        return "jax" if self.backend == "numpy" else self.backend

    @property
    def packages(self) -> tuple[str, ...]:
        """What the script imports besides the standard library, in its order."""
        if self.is_javascript:
            required = re.findall(
                r"""require(?:\.resolve)?\("((?:@[\w-]+/)?[\w-]+)[/"]""", self.script.read_text("utf-8")
            )
            return tuple(dict.fromkeys(required))
        found = re.findall(r"^(?:import|from) (\w+)", self.script.read_text("utf-8"), re.MULTILINE)
        return tuple(dict.fromkeys(name for name in found if name not in sys.stdlib_module_names))

    @property
    def is_javascript(self) -> bool:
        """Whether Node runs the script."""
        return self.script.suffix == ".cjs"

    @property
    def device(self) -> str:
        """The device of the script, if it is another than the CPU."""
        text = self.script.read_text("utf-8")
        if "WebGpuExecutionProvider" in text:
            return "webgpu"
        if "use_vulkan_compute = True" in text or 'Config("vulkan")' in text:
            return "vulkan"
        if 'device="CL"' in text:
            return "cl"
        found = re.search(r'\bdevice="([\w:]+)"', text)
        return found.group(1) if found and found.group(1) != "CPU" else ""

    @property
    def waivers(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.fields.get("Waivers", ""))

    @property
    def adapter(self) -> str:
        return self.name.split("-")[0]

    @property
    def seen(self) -> list[str]:
        name = "torch" if self.adapter == "torch_linear" else self.adapter
        return re.findall(rf"\b{name} (\d[\d.]*\d)", self.fields["Versions"])


def sections() -> list[Section]:
    text = (ROOT / "docs" / "findings.md").read_text("utf-8").split("\n# ")[0]
    found = []
    for part in text.split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        lines = re.sub(r"\n  (?=\S)", " ", body)
        found.append(Section(name, dict(re.findall(r"^- (\w+): (.+)$", lines, re.MULTILINE))))
    return found


SECTIONS = sections()
# What no program of the command shows: a switch of the whole process, turned between two calls. What a program shows
# that reads memory is another number each time. Where an adapter rounds, or a row has two conventions, the deck has
# none. Those in JavaScript are written by hand, too: the command writes Python.
_WRITTEN_BY_HAND = {
    *("mindspore_second_derivative", "paddle_no_classes", "paddle_nll_ignored_rows", "paddle_log_softmax_quadratic"),
    *("tensorflow_determinism_convention", "iree_vulkan_column_softmax"),
    *("autograd_mean_gradient", "openvino_infinity_mixed", "optax_infinity_mixed", "ggml_strides_of_one"),
}
BY_HAND = [s for s in SECTIONS if s.is_javascript or s.script.stem in _WRITTEN_BY_HAND]
# Of frameworks that every change is judged with, a script is written anew by the command (tests/repro/test_program.py),
# or, which costs less, it is run: one finding of a framework this way, its next three that, but for those that take 3
# to 19 processor seconds to be written. At night both.
_DEAR = (
    *("torch_float16_denominator", "jax_float16_softmax_gradient", "keras_jax_float16_softmax_gradient"),
    *("tensorflow_second_derivative_labels", "tensorflow_infinity_convention", "keras_numpy_narrow"),
)
_COMMON = [s for s in SECTIONS if s.adapter in ("torch", "tensorflow", "jax", "keras") and s not in BY_HAND]
_KINDS = [(s.adapter, s.backend) for s in _COMMON]
WRITTEN = [s for i, s in enumerate(_COMMON) if _KINDS[:i].count(_KINDS[i]) % 4 == 0 and s.script.stem not in _DEAR]
RUN = [s for s in _COMMON if s not in WRITTEN]


def of_section(seen: str) -> str:
    """A version as its section has it, also where it is that of PyTorch below a library."""
    return seen.removeprefix("torch==")


def named(section: Section) -> str:
    return section.name


def installed(adapter: str) -> str | None:
    if adapter in JAVASCRIPT:
        return version_in_node(JAVASCRIPT[adapter][0])
    for package in PACKAGES.get(adapter, (adapter,)):
        try:
            return Version(version(package)).public
        except PackageNotFoundError:
            continue
    return None


@cache
def package_json(name: str) -> Path | None:
    """The package.json of a package where Node finds its packages; None if there is none."""
    if shutil.which("node") is None:
        return None
    # Not every package exports it: it is above its main file.
    done = subprocess.run(["node", "-p", f"require.resolve('{name}')"], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    above = next(
        p for p in Path(done.stdout.strip()).parents if p.parts[-name.count("/") - 1 :] == tuple(name.split("/"))
    )
    return above / "package.json"


def version_in_node(name: str) -> str | None:
    place = package_json(name)
    return None if place is None else str(json.loads(place.read_text("utf-8"))["version"])


@pytest.mark.parametrize("section", SECTIONS, ids=named)
def test_a_section_is_complete(section: Section) -> None:
    assert [f for f in FIELDS if not section.fields.get(f)] == []
    assert section.adapter in ADAPTERS
    assert section.seen
    assert section.waivers or "not in the deck" in section.fields["Deck"]


def test_every_waiver_is_told_of_once() -> None:
    told = [name for s in SECTIONS for name in s.waivers]
    assert sorted(told) == sorted(w.name for w in WAIVERS)
    assert len({s.name for s in SECTIONS}) == len(SECTIONS)


@pytest.mark.parametrize("waiver", WAIVERS, ids=lambda w: w.name)
def test_a_waiver_agrees_with_its_section(waiver: Waiver) -> None:
    (section,) = [s for s in SECTIONS if waiver.name in s.waivers]
    # The heading is the name of the first waiver: the anchor that readers are sent to.
    assert section.waivers[0] == section.name
    # What PyTorch's own loss does, a library does that calls it; ONNX Runtime's kernels are the same for JavaScript.
    above = {"torch": ON_TORCH, "onnxruntime": ("onnxruntime_node", "onnxruntime_web")}.get(section.adapter, ())
    assert waiver.adapter in (section.adapter, *above)
    # Where a waiver holds on one device alone, the versions may be some of the section's.
    together = {of_section(v) for w in WAIVERS if w.name in section.waivers for v in w.seen}
    assert {of_section(v) for v in waiver.seen} <= set(section.seen) == together
    assert (FOLDER / waiver.reproducer).is_file()
    assert section.script == FOLDER / waiver.reproducer
    assert waiver.issue == "no report found" or re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", waiver.issue)
    assert waiver.issue in section.fields["Upstream"]


def test_every_script_is_told_of_and_short() -> None:
    scripts = sorted(p for p in FOLDER.glob("*.*") if p.suffix in (".py", ".cjs") and p.name != "__init__.py")
    assert scripts == sorted(s.script for s in SECTIONS)
    assert [p.name for p in scripts if len(p.read_text("utf-8").splitlines()) >= 30] == []


@pytest.mark.parametrize("section", SECTIONS, ids=named)
def test_the_script_needs_only_its_framework(section: Section) -> None:
    if section.is_javascript:
        # The backends and the browser are packages of their own.
        assert set(section.packages) <= {*JAVASCRIPT[section.adapter], "node"}
        assert JAVASCRIPT[section.adapter][0] in section.packages
        return
    # Keras needs NumPy, whatever its backend is; ONNX Runtime takes models, which onnx makes.
    besides = {"keras": {section.backend, "numpy"}, "onnxruntime": {"onnx", "numpy"}, "optax": {"jax", "numpy"}}
    needed = besides.get(section.adapter, {"numpy"} if section.adapter in WITH_NUMPY else set())
    if section.adapter in ON_TORCH:
        # Some are loaded without the parts of their package that need more.
        assert set(section.packages) <= {"torch", section.adapter}
        loaded = f'find_spec("{section.adapter}")' in section.script.read_text("utf-8")
        assert loaded or section.adapter in (*section.packages, "torch_linear")
        return
    assert set(section.packages) - needed == {section.adapter}
    # Nothing else is set before a framework is imported: scripts are run where it is imported already.
    text = section.script.read_text("utf-8")
    chosen = f'os.environ["KERAS_BACKEND"] = "{section.backend}"\nimport keras\n'
    assert "environ" not in text.replace(chosen, "")


def absent(section: Section) -> str:
    """The device of a script that is not there; an empty text if it is."""
    kind = section.device.partition(":")[0]
    if not kind:
        return ""
    if kind in ("cl", "webgpu", "vulkan"):
        from lossproof.targets.target import load_adapter

        return "" if kind in load_adapter(section.adapter).capabilities().devices else section.device
    # sanity check: of the other frameworks no script asks for a device
    assert (section.adapter, kind) == ("torch", "cuda")
    import torch

    return "" if torch.cuda.is_available() else section.device


def run_script(section: Section, **settings: str) -> subprocess.CompletedProcess[str]:
    if installed(section.adapter) is None:
        pytest.skip(f"{section.adapter} is not installed")
    if section.runs_on and installed(section.runs_on) is None:
        pytest.skip(f"{section.runs_on} is not installed")
    if absent(section):
        pytest.skip(f"there is no {absent(section)}")
    if section.is_javascript:
        return run_in_node(section)
    told = dict.fromkeys(SWITCHES) | settings
    # Triton's interpreter is chosen before Triton is imported: the script itself does both.
    alone = {section.adapter, section.backend} & {*KERNELS, *THREADED}
    packages = () if alone else section.packages
    return run_program(section.script, packages, backend=section.backend, variables=told)


def run_in_node(section: Section) -> subprocess.CompletedProcess[str]:
    """Run a script with the packages that Node finds from here."""
    name = JAVASCRIPT[section.adapter][0]
    found = package_json(name)
    # sanity check: the package is there
    assert found is not None
    place = found.parents[name.count("/") + 1]
    if "playwright-core" in section.packages and shutil.which("chromium") is None:
        pytest.skip("there is no chromium")
    missing = [package for package in section.packages if package != "node" and package_json(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    variables = {**os.environ, "NODE_PATH": str(place), "CHROMIUM": shutil.which("chromium") or ""}
    return subprocess.run(["node", str(section.script)], capture_output=True, text=True, check=False, env=variables)


def is_here(section: Section, **settings: str) -> bool | None:
    """Whether the kernels that have the defect are those of this processor; None if that is not known."""
    framework = section.backend or section.adapter
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"} | settings
    where = Context(onednn=processor.of_tensorflow_onednn(environment) if framework == "tensorflow" else "")
    terms = [[t for t in w.condition.terms if t.name in SETS] for w in WAIVERS if w.name in section.waivers]
    if any(terms) and not where.onednn:
        return None
    return not terms or any(all(t.holds(where) for t in several) for several in terms)


@pytest.mark.parametrize(
    "section", [pytest.param(s, id=s.name, marks=nightly if s in WRITTEN else ()) for s in SECTIONS]
)
def test_the_script_shows_the_defect_in_the_versions_it_was_seen_in(section: Section) -> None:
    done = run_script(section)
    assert "Traceback" not in done.stderr
    assert "exact" in done.stdout or "observed" in done.stdout
    here = installed(section.adapter)
    # sanity check: the script imported it
    assert here is not None
    assert here in done.stdout
    assert done.returncode in (0, 1)
    expected = is_here(section)
    if here in section.seen and expected is not None:
        assert done.returncode == expected


def test_without_onednn_a_reciprocal_is_an_estimate() -> None:
    """So the waiver that needs ``onednn=off`` is right of processors, too, where TensorFlow uses oneDNN by itself."""
    (section,) = [s for s in SECTIONS if s.name == "tensorflow-reciprocal-of-one"]
    if "avx" not in processor.features():
        pytest.skip("no processor on which this was seen")
    if installed(section.adapter) in section.seen:
        assert run_script(section, TF_ENABLE_ONEDNN_OPTS="0").returncode == 1


@pytest.mark.parametrize(
    "name",
    [
        "tensorflow-softmax-drops-nan",
        "tensorflow-infinity-convention",
        # Keras calls what the first one calls; it would be imported for this alone.
        pytest.param("keras-tensorflow-softmax-nan", marks=nightly),
    ],
)
def test_a_processor_that_avoids_the_defect_has_it_after_all_with_a_setting(name: str) -> None:
    """So what is said of the processor is right on every one: it decides whether oneDNN is used, and no more."""
    (section,) = [s for s in SECTIONS if s.name == name]
    if not is_here(section, TF_ENABLE_ONEDNN_OPTS="1") or "avx2" not in processor.features():
        pytest.skip("oneDNN's kernels for this processor are others")
    if installed(section.adapter) in section.seen:
        assert run_script(section, TF_ENABLE_ONEDNN_OPTS="1").returncode == 1


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("tensorflow-softmax-drops-nan", "TF_ENABLE_ONEDNN_OPTS=0"),
        ("tensorflow-infinity-convention", "TF_ENABLE_ONEDNN_OPTS=0"),
        ("jax-float16-softmax-gradient", "JAX_SOFTMAX_CUSTOM_JVP=1"),
    ],
)
def test_a_setting_that_avoids_the_defect_makes_the_script_succeed(name: str, setting: str) -> None:
    (section,) = [s for s in SECTIONS if s.name == name]
    assert run_script(section, **dict([setting.split("=")])).returncode == 0
