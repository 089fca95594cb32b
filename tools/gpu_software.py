"""Install what the lane gpu-software runs on: software devices for OpenCL, Vulkan, WebGL and WebGPU, by apt where one
is root, TensorFlow.js and ONNX Runtime for JavaScript by npm where there is one.

Then the smoke deck runs on each of them, and tests that need them; a line says which device is not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("pocl-opencl-icd", "ocl-icd-libopencl1", "clang", "mesa-vulkan-drivers", "libvulkan1", "chromium")
# Chromium brings SwiftShader, whose Vulkan ONNX Runtime's WebGPU takes; of llvmpipe it says that it is no adapter.
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
LLVMPIPE = Path("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json")
OPENCL = Path("/etc/OpenCL/vendors/pocl.icd")

# Without --ignore-scripts a package may run programs of its own.
NPM = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--fetch-retries=1")
PACKAGES_OF_NODE = (
    *("@tensorflow/tfjs@4.22.0", "@tensorflow/tfjs-backend-wasm@4.22.0", "@tensorflow/tfjs-backend-webgpu@4.22.0"),
    *("onnxruntime-node@1.30.0", "onnxruntime-web@1.30.0", "playwright-core@1.65.1"),
)

SMOKE = ("run", "--deck", "smoke", "--strict")


class Run(NamedTuple):
    """A device with what runs on it: the ``file`` that shows it is there, and the kind that the run must have."""

    file: Path
    variables: Mapping[str, str]
    targets: Sequence[str]
    device: str


def on_vulkan(driver: Path, device: str, *targets: str) -> Run:
    """A run on a driver of Vulkan."""
    return Run(driver, {"VK_ICD_FILENAMES": str(driver)}, targets, device)


RUNS = (
    Run(OPENCL, {}, ("tinygrad:cl",), "cl"),
    on_vulkan(SWIFTSHADER, "webgpu", "onnxruntime:webgpu", "onnxruntime+expanded:webgpu"),
    on_vulkan(LLVMPIPE, "vulkan", "ncnn:vulkan"),
    on_vulkan(SWIFTSHADER, "vulkan", "iree:vulkan"),
)
# Where the adapters compute, and whether the scripts of findings show what is told of them.
FILES = (
    *(f"tests/adapters/test_{name}.py" for name in ("software_devices", "tfjs", "onnxruntime_js", "findings")),
    "tests/running/test_gpu_rehearsal.py",
)
TESTS = ("pytest", *FILES, "-k", "software or tinygrad or onnxruntime or ncnn or iree or tfjs or jax")


def install_programs(folder: Path) -> list[Run]:
    """Install what programs for Node take in a folder, unless ``NODE_PATH`` names it, and return their runs; none, and
    a line, where that is not possible. A run has one backend: what they make of special values differs."""
    place = os.environ.get("NODE_PATH")
    if place is None:
        lacking = [name for name in ("node", "npm") if shutil.which(name) is None]
        if lacking:
            print(f"gpu-software: skipped programs for Node: there is no {' and no '.join(lacking)}", flush=True)
            return []
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", *NPM, "--prefix", str(folder), *PACKAGES_OF_NODE], check=False)
        if done.returncode:
            print("gpu-software: skipped programs for Node: npm installs nothing here", flush=True)
            return []
        place = str(folder / "node_modules")
    found = {"NODE_PATH": place}
    pages = [
        ("tfjs+browser:webgl", "webgl"),
        ("tfjs+browser:webgpu", "webgpu"),
        ("onnxruntime_web+browser:webgpu", "webgpu"),
    ]
    runs = [Run(SWIFTSHADER, found, (target,), device) for target, device in pages]
    vulkan = on_vulkan(SWIFTSHADER, "webgpu", "onnxruntime_node:webgpu")
    return [*runs, vulkan._replace(variables={**vulkan.variables, **found})]


def install() -> None:
    """Install the packages that apt has, unless everything is there; say so where that is not possible."""
    if all(path.exists() for path in (SWIFTSHADER, LLVMPIPE, OPENCL)):
        return
    if not shutil.which("apt-get") or os.geteuid():
        print("gpu-software: apt-get and root are needed to install", " ".join(PACKAGES), flush=True)
        return
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *command], check=False, stdout=subprocess.DEVNULL)


def main() -> int:
    """Install, then run the smoke deck on each device that is there, and tests. Returns 1 if one fails."""
    install()
    failed, programs = 0, install_programs(Path(sys.prefix, "programs"))
    for run in (*RUNS, *programs):
        if not run.file.exists():
            print(f"gpu-software: skipped {' '.join(run.targets)}: there is no {run.file}", flush=True)
            continue
        command = [sys.executable, "-m", "lossproof", *SMOKE, *run.targets, "--require", run.device]
        print("gpu-software:", " ".join(command[1:]), flush=True)
        failed |= subprocess.run(command, env={**os.environ, **run.variables}, check=False).returncode
    if SWIFTSHADER.exists():
        environment = {
            **os.environ,
            "VK_ICD_FILENAMES": str(SWIFTSHADER),
            **(programs[0].variables if programs else {}),
        }
        failed |= subprocess.run([sys.executable, "-m", *TESTS], env=environment, check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
