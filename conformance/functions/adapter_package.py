"""The package of a new adapter: its files as texts, with a softmax in them that passes and is to be replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template


@dataclass(frozen=True)
class _AdapterText:
    """The parts of an adapter that differ between frameworks."""

    package: str
    imports: str
    dtypes: str
    kernel: str
    evaluate: str
    alias: str
    shape_errors: str = "(ValueError, IndexError)"
    restrictions: str = ""


_NUMPY = _AdapterText(
    "numpy",
    "import numpy as np",
    '("float64", "float32")',
    '''def softmax(x: Any, axis: int) -> Any:
    """Stand for the function under test; put yours in its place."""
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


def softmax_grad(x: Any, cotangent: Any, axis: int) -> Any:
    """Stand for its gradient."""
    p = softmax(x, axis)
    return p * (cotangent - (p * cotangent).sum(axis=axis, keepdims=True))''',
    """        x = problem.x.astype(problem.dtype)
        results = {"value": softmax(x, problem.axis)}
        if problem.cotangent is not None:
            results["vjp"] = softmax_grad(x, problem.cotangent.astype(problem.dtype), problem.axis)
        return {name: Tensor(a.astype("float64"), a.dtype.name) for name, a in results.items()}""",
    "np",
)
_TORCH = _AdapterText(
    "torch",
    "import torch",
    '("float64", "float32", "bfloat16", "float16")',
    '''def softmax(x: Any, axis: int) -> Any:
    """Stand for the function under test; put yours in its place."""
    return torch.softmax(x, axis)''',
    """        dtype = getattr(torch, problem.dtype)
        # Every number of a problem is one of its dtype: nothing is rounded here.
        x = torch.tensor(problem.x, dtype=dtype, device=device, requires_grad=problem.cotangent is not None)
        results = {"value": softmax(x, problem.axis)}
        if problem.cotangent is not None:
            cotangent = torch.tensor(problem.cotangent, dtype=dtype, device=device)
            (results["vjp"],) = torch.autograd.grad(results["value"], x, cotangent)
        return {
            name: Tensor(t.detach().cpu().double().numpy(), str(t.dtype).rpartition(".")[2])
            for name, t in results.items()
        }""",
    "torch",
)
_JAX = _AdapterText(
    "jax",
    "import jax\nimport jax.numpy as jnp\nimport numpy as np",
    '("float32", "bfloat16", "float16")',
    '''def softmax(x: Any, axis: int) -> Any:
    """Stand for the function under test; put yours in its place."""
    return jax.nn.softmax(x, axis=axis)''',
    """        # Every number of a problem is one of its dtype: nothing is rounded here.
        x = jnp.asarray(problem.x, dtype=problem.dtype)
        results = {}
        results["value"], pull = jax.vjp(lambda x: softmax(x, problem.axis), x)
        if problem.cotangent is not None:
            (results["vjp"],) = pull(jnp.asarray(problem.cotangent, dtype=problem.dtype))
        return {name: Tensor(np.asarray(a).astype("float64"), a.dtype.name) for name, a in results.items()}""",
    "jax",
)
_TENSORFLOW = _AdapterText(
    "tensorflow",
    "import tensorflow as tf",
    '("float64", "float32", "bfloat16", "float16")',
    '''def softmax(x: Any, axis: int) -> Any:
    """Stand for the function under test; put yours in its place."""
    return tf.nn.softmax(x, axis=axis)''',
    """        with tf.device(device), tf.GradientTape() as tape:
            # Every number of a problem is one of its dtype: nothing is rounded here.
            x = tf.cast(tf.constant(problem.x), problem.dtype)
            tape.watch(x)
            results = {"value": softmax(x, problem.axis)}
        if problem.cotangent is not None:
            cotangent = tf.cast(tf.constant(problem.cotangent), problem.dtype)
            results["vjp"] = tape.gradient(results["value"], x, cotangent)
        return {name: Tensor(tf.cast(t, "float64").numpy(), t.dtype.name) for name, t in results.items()}""",
    "tf",
    shape_errors="(ValueError, IndexError, tf.errors.InvalidArgumentError)",
    # Its softmax is computed by a library that takes no more axes.
    restrictions=", ranks=(1, 2, 3, 4, 5)",
)
ADAPTER_TEXTS: Mapping[str, _AdapterText] = {p.package: p for p in (_NUMPY, _TORCH, _JAX, _TENSORFLOW)}

_MODULE = Template('''"""The adapter of $name for lossproof: it calls the function under test, and compares nothing."""

from __future__ import annotations

from typing import Any

$imports

from lossproof.adapters import Capabilities, Description, Problem, Support, Tensor


$kernel


class $kind:
    """One op in a few dtypes; more is declared in ``capabilities`` and computed in ``evaluate``."""

    name = "$name"

    def describe(self) -> Description:
        """Return the versions that the numbers depend on."""
        return Description({"$package": $alias.__version__})

    def capabilities(self) -> Capabilities:
        """Return what is on offer; nothing else is asked."""
        return Capabilities(ops={"softmax": Support("native")}, dtypes=$dtypes$restrictions)

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """Compute the value, and the gradient where there is a cotangent."""
$evaluate

    def error_kind(self, error: Exception) -> str:
        """Classify an exception of the function under test."""
        return "bad_shape" if isinstance(error, $shape_errors) else "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write a program of the framework alone that evaluates a problem, for bug reports; there is none yet."""
        raise NotImplementedError


ADAPTER = $kind()
''')
_TEST = Template('''"""Judge the adapter: one test for each op, dtype and family of cases."""

from lossproof_$name import ADAPTER

from lossproof.pytest import parametrize_with_checks


@parametrize_with_checks([ADAPTER], expected_failures={})
def test_conformance(check):
    check()
''')
_PYPROJECT = Template("""[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "lossproof-$dashed"
version = "0.1.0"
description = "An adapter of $name for lossproof"
requires-python = ">=3.11"
dependencies = ["lossproof", "numpy"$framework]

[project.entry-points."lossproof.adapters"]
$name = "lossproof_$name:ADAPTER"

[tool.setuptools]
py-modules = ["lossproof_$name"]

[tool.pytest.ini_options]
pythonpath = ["."]
""")
_JOB = Template("""name: conformance

on:
  push:
  pull_request:

permissions:
  contents: read

jobs:
  $name:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0
        with:
          python-version: "3.12"
      - run: python -m pip install .
      - run: python -m pytest
      - run: lossproof run $name --require $name
""")
_README = Template("""# lossproof-$dashed

Puts $name under the conformance suite lossproof.

```sh
python -m pip install -e .
python -m pytest
lossproof run $name
```

1. `lossproof_$name.py`: put the function under test in the place of `softmax`.
2. `capabilities` declares what it offers: ops, dtypes, kinds of targets, devices, modes, layouts, derivatives. The
   docstrings of `lossproof.adapters.Capabilities` and `Problem` have every field.
3. `evaluate` computes what a problem asks for, and returns it exactly, with the dtype that the function returned.
4. Known deviations are `expected_failures` in `test_conformance.py`, each with its reason.
""")


def package_files(name: str, framework: str) -> dict[str, str]:
    """Return the files of a new adapter's package by their paths in it; ``framework`` is one of ``ADAPTER_TEXTS``."""
    p = ADAPTER_TEXTS[framework]
    values = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "kind": "".join(word.capitalize() for word in name.split("_")),
        "package": p.package,
        "alias": p.alias,
        "shape_errors": p.shape_errors,
        "framework": "" if framework == "numpy" else f', "{p.package}"',
        "imports": p.imports,
        "dtypes": p.dtypes,
        "restrictions": p.restrictions,
        "kernel": p.kernel,
        "evaluate": p.evaluate,
    }
    return {
        f"lossproof_{name}.py": _MODULE.substitute(values),
        "test_conformance.py": _TEST.substitute(values),
        "pyproject.toml": _PYPROJECT.substitute(values),
        ".github/workflows/conformance.yml": _JOB.substitute(values),
        "README.md": _README.substitute(values),
    }


_JAVASCRIPT_README = Template("""# An adapter of $name for lossproof

```sh
lossproof run "exec:node $name.mjs" --require $name
```

1. `$name.mjs`: put the functions under test in the place of `softmax`, `logSoftmax` and `crossEntropy`.
2. `capabilities` declares what they offer: ops, dtypes, kinds of targets, devices, modes, outputs. What is not there is
   not asked.
3. `evaluate` computes what a problem asks for, and returns it exactly, with the dtype of the result. What it throws
   is an answer.
4. `wire.mjs` is what lossproof speaks; it stays as it is. docs/adapter-protocol.md of lossproof documents it.
""")


def javascript_files(name: str) -> dict[str, str]:
    """Return the files of a new adapter for Node by their paths."""
    own = files("lossproof.adapters") / "javascript"
    text = (own / "template.mjs").read_text(encoding="utf-8")
    return {
        f"{name}.mjs": text.replace("$name", name),
        "wire.mjs": (own / "wire.mjs").read_text(encoding="utf-8"),
        "README.md": _JAVASCRIPT_README.substitute(name=name),
    }
