"""The package of a new adapter: its files as texts, with a softmax in them that passes and is to be replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template


@dataclass(frozen=True)
class _AdapterText:
    """The parts of an adapter that differ between frameworks: texts of ProgramAdapter's arguments."""

    package: str
    dtypes: str
    imports: tuple[str, ...]
    softmax: str
    vjp: tuple[str, ...]
    options: tuple[str, ...] = ()
    restrictions: str = ""


_NUMPY = _AdapterText(
    "numpy",
    '("float64", "float32")',
    (
        "def softmax(x, axis):",
        "    e = np.exp(x - x.max(axis=axis, keepdims=True))",
        "    return e / e.sum(axis=axis, keepdims=True)",
    ),
    "softmax({x}, {axis})",
    ("vjp = value * (cotangent - (value * cotangent).sum(axis={axis}, keepdims=True))",),
)
_TORCH = _AdapterText(
    "torch",
    '("float64", "float32", "bfloat16", "float16")',
    ("import torch",),
    "torch.softmax({x}, {axis})",
    ("value, of_value = torch.func.vjp(f, x)", "vjp, = of_value(cotangent)"),
    (
        """put='torch.tensor({a}, device="{device}")',""",
        """pull="{t}.cpu().numpy()",""",
        """# NumPy has no bfloat16 of its own: what makes one of float32, and float32 of one.""",
        """bfloat16=("{t}.bfloat16()", "{t}.float()"),""",
        """errors=(("Dimension out of range", "bad_shape"),),""",
    ),
)
_JAX = _AdapterText(
    "jax",
    '("float32", "bfloat16", "float16")',
    ("import jax", "import jax.numpy as jnp"),
    "jax.nn.softmax({x}, axis={axis})",
    ("value, of_value = jax.vjp(f, x)", "vjp, = of_value(cotangent)"),
    ("""put="jnp.asarray({a})",""",),
)
_TENSORFLOW = _AdapterText(
    "tensorflow",
    '("float64", "float32", "bfloat16", "float16")',
    ("import tensorflow as tf",),
    "tf.nn.softmax({x}, axis={axis})",
    (
        "with tf.GradientTape() as tape:",
        "    tape.watch(x)",
        "    value = f(x)",
        "vjp = tape.gradient(value, x, cotangent)",
    ),
    (
        """put="tf.constant({a})",""",
        """pull="{t}.numpy()",""",
        """errors=(("InvalidArgument", "bad_shape"), ("must be", "bad_shape")),""",
    ),
    # Its softmax is computed by a library that takes no more axes.
    restrictions=", ranks=(1, 2, 3, 4, 5)",
)
ADAPTER_TEXTS: Mapping[str, _AdapterText] = {p.package: p for p in (_NUMPY, _TORCH, _JAX, _TENSORFLOW)}

_MODULE = Template('''"""The adapter of $name for lossproof: it tells how the function under test is called."""

from lossproof.adapters import Capabilities, ProgramAdapter, Support

ADAPTER = ProgramAdapter(
    "$name",
    # What is on offer; nothing else is asked.
    Capabilities(ops={"softmax": Support("native")}, dtypes=$dtypes$restrictions),
    # Every program begins with these lines: the function under test is imported here, and called in the next one.
    imports=$imports,
    functions={"softmax": "$softmax"},
    # The gradient, of f, a function of x, of the value that it has returned, and of the cotangent.
    derivatives={
        "vjp": $vjp,
    },
$options    packages=("$package",),
)
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

1. `lossproof_$name.py`: import the function under test in `imports`, and call it in `functions`, in the place of the
   softmax. `{x}` and `{axis}` are the input and the class axis.
2. `Capabilities` declares what it offers: ops, dtypes, kinds of targets, devices, modes, layouts. Its docstring, and
   that of `Problem`, has every field; `lossproof.adapters.COMPOSED` adds losses that are made of a log-softmax.
3. `derivatives` has the lines that compute each derivative. `lossproof.adapters.ProgramAdapter` documents all that can
   be said so; what cannot is a class with the members of `lossproof.adapters.Adapter`.
4. Known deviations are `expected_failures` in `test_conformance.py`, each with its reason.
""")


def package_files(name: str, framework: str) -> dict[str, str]:
    """Return the files of a new adapter's package by their paths in it; ``framework`` is one of ``ADAPTER_TEXTS``."""
    p = ADAPTER_TEXTS[framework]
    values = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "package": p.package,
        "framework": "" if framework == "numpy" else f', "{p.package}"',
        "imports": _tuple(p.imports),
        "dtypes": p.dtypes,
        "restrictions": p.restrictions,
        "softmax": p.softmax,
        "vjp": _joined(p.vjp),
        "options": "".join(f"    {line}\n" for line in p.options),
    }
    return {
        f"lossproof_{name}.py": _MODULE.substitute(values),
        "test_conformance.py": _TEST.substitute(values),
        "pyproject.toml": _PYPROJECT.substitute(values),
        ".github/workflows/conformance.yml": _JOB.substitute(values),
        "README.md": _README.substitute(values),
    }


def _tuple(lines: Sequence[str]) -> str:
    """Write lines as a tuple of texts."""
    if len(lines) == 1:
        return f'("{lines[0]}",)'
    return "\n".join(["(", *(f'        "{line}",' for line in lines), "    )"])


def _joined(lines: Sequence[str]) -> str:
    """Write lines as one text."""
    if len(lines) == 1:
        return f'"{lines[0]}"'
    return '\\n"\n        "'.join(['"' + lines[0], *lines[1:]]) + '"'


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
