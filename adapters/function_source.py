"""Programs that call somebody's function on the tensors of a problem, in the function's own framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

from . import layouts, source
from .protocol import Problem

Lines = Callable[[Problem, Sequence[str], str], List[str]]


@dataclass(frozen=True)
class Language:
    """A language is how programs of one framework are written.

    ``imports`` come first; ``array`` is the form of a tensor of entries, dtype and shape, ``entries`` makes a list of
    one again; ``module`` has the version; ``computed`` writes the lines that compute outputs by a call.
    """

    imports: Tuple[str, ...]
    module: str
    array: str
    entries: str
    computed: Lines
    layouts: Callable[[Problem], List[str]] = lambda p: []

    def script(
        self,
        p: Problem,
        name: str,
        device: str,
        want: Sequence[str],
        call: str,
        imports: Sequence[str],
        package: str = "",
    ) -> str:
        """Write the whole program, which prints every output, and the version of the framework or of a package."""
        body = [*self._tensors(p, device), *self.layouts(p), "", *self.computed(p, want, call)]
        body += ['print("%s", %s)' % (output, self.entries % output) for output in want]
        version = source.version(self.module, self.imports[0].split()[1])
        body.append(source.version_of(package) if package else version)
        return source.program(source.title(p, name), [*self.imports, *imports], body)

    def _tensors(self, p: Problem, device: str) -> Iterator[str]:
        place = "" if device == "cpu" else ', device="%s"' % device
        for name, a, entries in source.constants(p):
            kind = a.dtype.name if a.dtype.kind in "iu" else p.dtype_of_input(name)
            yield self.array.format(name=name, entries=entries, kind=kind, shape=a.shape, place=place)


def _torch(p: Problem, want: Sequence[str], call: str) -> List[str]:
    from .torch_source import uses

    if not {"value", "vjp", "vjp_again"}.issuperset(want):
        head = "def f(x, target):" if p.is_loss else "def f(x, target=None):"
        return [head, "    return %s" % call, "", "", *uses(p, want)]
    lines = ["x.requires_grad_()"] if "vjp" in want else []
    lines.append("value = %s" % call)
    if "vjp" in want:
        keep = ", retain_graph=True" if "vjp_again" in want else ""
        lines.append("(vjp,) = torch.autograd.grad(value, [x], cotangent%s)" % keep)
    if "vjp_again" in want:
        lines.append("(vjp_again,) = torch.autograd.grad(value, [x], cotangent)")
    return lines


def _jax(p: Problem, want: Sequence[str], call: str) -> List[str]:
    from .jax_source import uses

    lines = ["f = lambda x: %s" % call]
    if {"grad_target", "mixed", "jvp_target"} & set(want):
        lines.append("of_target = lambda x, target: %s" % call)
    return [*lines, *uses(want)]


def _tensorflow(p: Problem, want: Sequence[str], call: str) -> List[str]:
    out = ["def f(x, target):" if p.is_loss else "def f(x, target=None):", "    return %s" % call, "", ""]
    given = "x, target" if p.is_loss else "x"
    out.append("with tf.GradientTape(persistent=True) as outer:")
    out.append("    outer.watch([%s])" % given)
    out.append("    with tf.GradientTape(persistent=True) as tape:")
    out += ["        tape.watch([%s])" % given, "        value = f(%s)" % given]
    for name, leaf in (("vjp", "x"), ("vjp_again", "x"), ("grad_target", "target")):
        if name in want or (name == "vjp" and "hvp" in want) or (name == "grad_target" and "mixed" in want):
            out.append("    %s = tape.gradient(value, %s, cotangent)" % (name, leaf))
    for name, first, direction in (("hvp", "vjp", "tangent"), ("mixed", "grad_target", "target_tangent")):
        if name in want:
            out.append("%s = outer.gradient(%s, x, %s)" % (name, first, direction))
    for name, leaf, direction in (("jvp", "x", "tangent"), ("jvp_target", "target", "target_tangent")):
        if name in want:
            out.append("with tf.autodiff.ForwardAccumulator(%s, %s) as forward:" % (leaf, direction))
            out += ["    again = f(%s)" % given, "%s = forward.jvp(again)" % name]
    return out if len(want) > 1 or "value" not in want else ["value = %s" % call]


FRAMEWORKS: Dict[str, Language] = {
    "torch": Language(
        ("import torch",),
        "torch",
        "{name} = torch.tensor({entries}, dtype=torch.{kind}{place}).reshape({shape})",
        "%s.tolist()",
        _torch,
        layouts.torch_source,
    ),
    "jax": Language(
        ("import jax", "import jax.numpy as jnp"),
        "jax",
        "{name} = jnp.array({entries}, jnp.{kind}).reshape({shape})",
        "%s.tolist()",
        _jax,
    ),
    "tensorflow": Language(
        ("import tensorflow as tf",),
        "tf",
        "{name} = tf.reshape(tf.constant({entries}, tf.{kind}), {shape})",
        "%s.numpy().tolist()",
        _tensorflow,
    ),
}
