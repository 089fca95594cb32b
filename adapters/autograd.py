"""autograd: the softmaxes by its ``logsumexp``, losses composed of them, derivatives by its own transformations."""

from __future__ import annotations

from .program_adapter import ProgramAdapter
from .protocol import COMPOSED, Capabilities, Support
from .traced import numpy_like

ADAPTER = ProgramAdapter(
    "autograd",
    Capabilities(
        ops={"softmax": Support("composed"), "log_softmax": Support("composed"), **COMPOSED},
        dtypes=("float64", "float32"),
    ),
    imports=(
        "import autograd.numpy as anp",
        "from autograd import make_jvp",
        "from autograd import make_vjp",
        "from autograd.tracer import getval",
        "",
        "def softmax(x, axis):",
        "    e = anp.exp(x - np.max(getval(x), axis=axis, keepdims=True))",
        "    return e / anp.sum(e, axis=axis, keepdims=True)",
        "",
        "def log_softmax(x, axis):",
        "    d = x - np.max(getval(x), axis=axis, keepdims=True)",
        "    return d - anp.log(anp.sum(anp.exp(d), axis=axis, keepdims=True))",
    ),
    functions={
        "softmax": "softmax({x}, {axis})",
        "log_softmax": "log_softmax({x}, {axis})",
        **numpy_like("anp", cast="{a}.astype('{t}')"),
    },
    # Derivatives of where, mean and max are float64 (docs/findings.md); those who want float32 round them.
    derivatives={
        "vjp": "vjp = make_vjp(f)(x)[0](cotangent).astype(x.dtype)",
        "jvp": "jvp = make_jvp(f)(x)(tangent)[1].astype(x.dtype)",
        "hvp": "hvp = make_jvp(lambda x: make_vjp(f)(x)[0](cotangent))(x)(tangent)[1].astype(x.dtype)",
        "grad_target": "grad_target = make_vjp(lambda q: of_target(x, q))(target)[0](cotangent).astype(x.dtype)",
        "mixed": "of_x = lambda x: make_vjp(of_target, 1)(x, target)[0](cotangent)\n"
        "mixed = make_vjp(of_x)(x)[0](target_tangent).astype(x.dtype)",
        "jvp_target": "of_q = lambda q: of_target(x, q)\n"
        "jvp_target = make_jvp(of_q)(target)(target_tangent)[1].astype(x.dtype)",
    },
)
