"""The short adapter: a framework is told in templates of its own program text, and everything else is here.

The lines that are written of a problem are those that are run, so what ``evaluate`` computes is what ``script`` shows.
Arrays come in and results go out exactly, losses that the framework lacks are composed of its log-softmax,
derivatives are those of its autodiff, results are looked for on the device that was asked for, exceptions become
kinds of errors, and what no template can say is unsupported.
"""

from __future__ import annotations

import platform
import re
from dataclasses import replace
from importlib import metadata
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import compose, source, traced
from .given import Given
from .outputs import TABLE
from .programs import Programs, metered, seen_by_compiler
from .protocol import (
    ARRAYS,
    LOSSES,
    Capabilities,
    Description,
    Meter,
    Problem,
    Tensor,
    UnsupportedProblem,
)
from .watch import seen

# A template, or what writes the expression of a problem's value in a mode.
Function = Union[str, Callable[[Problem, str], str]]
# Names of arrays, lines that compute, and names of outputs, to lines that define ``program``.
Compiler = Callable[[Problem, str, Sequence[str], Sequence[str], Sequence[str]], List[str]]


class ProgramAdapter:
    """An adapter of a framework by templates of program text, which are formatted by name.

    ``name``          the first part of target strings
    ``capabilities``  what is on offer, as of every adapter, without ``outputs``: those are the value and what
                      ``derivatives`` has. A loss of ``COMPOSED`` is composed unless ``functions`` has it, and its
                      profile is W, since it is computed in float32 and rounded once
    ``imports``       the lines that every program begins with, after ``import numpy as np``
    ``functions``     ``{op: template}``: expressions of ``{x}``, ``{axis}`` and ``{mode}``; for composed losses those
                      of ``traced.numpy_like``. A function of a problem and a mode writes an expression of the tensors
                      ``x``, ``target`` and ``weight``, and raises UnsupportedProblem where the framework has none
    ``derivatives``   ``{output: lines}``: they assign the output, of ``f``, a function of ``x``, the ``value`` that
                      it has returned, the tensors of the problem by their names, other outputs, and ``{axis}``. Those
                      that assign ``value``, too, take the place of the forward pass. Derivatives in the target have
                      ``of_target``, a function of ``x`` and ``target``
    ``put``           expression of a tensor of the NumPy array ``{a}``, on the ``{device}``, as ``place`` names it, in
                      the ``{mode}``
    ``pull``          expression of the NumPy array of the tensor ``{t}``
    ``bfloat16``      where NumPy's arrays of bfloat16 are no tensors: expressions of the tensor ``{t}`` of float32 in
                      bfloat16, and of one of bfloat16 in float32. Default: none, they are as any other array
    ``packages``      distributions whose versions are evidence; programs print that of the first. Default: the name
    ``errors``        ``(words, kind)``: a message with these words is of this kind; others go by the exception's type
    ``place``         returns the framework's own name of a device. Default: that of target strings
    ``device_of``     returns the device of a tensor as target strings name it, or an empty text where it has none yet.
                      Default: none, for frameworks without devices
    ``refuse``        says why a problem in a mode is not on offer, in an empty text if it is
    ``reads_any_label`` whether the framework reads where a label says, whether there is memory or not: problems with
                      labels far out of range, which may end the process, are not on offer. Default: False
    ``writes_any_label`` whether gradients write there, too: those of labels out of range are not on offer. Default: no
    ``compiled``      writes lines that define ``program``, a compiled function of arrays that returns outputs, of the
                      lines that compute them. Default: none, lines are run one by one
    ``facts``         returns what else can change bits

    Raises what the imports raise.
    """

    def __init__(
        self,
        name: str,
        capabilities: Capabilities,
        *,
        imports: Sequence[str],
        functions: Mapping[str, Function],
        derivatives: Optional[Mapping[str, str]] = None,
        put: str = "{a}",
        pull: str = "np.asarray({t})",
        bfloat16: Optional[Tuple[str, str]] = None,
        packages: Sequence[str] = (),
        errors: Sequence[Tuple[str, str]] = (),
        place: Optional[Callable[[str], str]] = None,
        device_of: Optional[Callable[[Any], str]] = None,
        refuse: Optional[Callable[[Problem, str], str]] = None,
        reads_any_label: bool = False,
        writes_any_label: bool = False,
        compiled: Optional[Compiler] = None,
        facts: Optional[Callable[[], Mapping[str, str]]] = None,
    ) -> None:
        self.name = name
        self.meter = Meter()
        self._derivatives = derivatives or {}
        self._capabilities = replace(
            capabilities,
            outputs=("value", *self._derivatives),
            profiles={**_profiles(capabilities, functions), **capabilities.profiles},
        )
        self._imports = ("import numpy as np", *imports)
        self._functions, self._put, self._pull, self._place = functions, put, pull, place or str
        self._packages = tuple(packages) or (name,)
        self._bfloat16, self._reads_any_label, self._writes_any_label = bfloat16, reads_any_label, writes_any_label
        self._errors, self._device_of, self._refuse = errors, device_of, refuse
        self._compiled, self._facts = compiled, facts
        self._programs = Programs()
        # Some frameworks ask a function for its module.
        self._names: Dict[str, Any] = {"__name__": __name__}
        exec("\n".join(self._imports), self._names)

    def describe(self) -> Description:
        """Report the versions of the packages, and the facts."""
        versions = {name: str(eval(_version(name))) for name in self._packages}
        versions.update(numpy=np.__version__, python=platform.python_version())
        return Description(versions, self._facts() if self._facts else {})

    def capabilities(self) -> Capabilities:
        """Offer what was declared, with the outputs that have templates."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Run the lines of the script on arrays of the framework, and pull the results back."""
        reason = self._refuse(problem, mode) if self._refuse else ""
        if self._writes_any_label and set(problem.want) - {"value", "jvp"} and has_label_outside(problem):
            reason = "the gradient of a label out of range writes to memory that is not its own"
        if self._reads_any_label and has_far_label(problem):
            reason = "a label far out of range may end the process"
        if reason:
            raise UnsupportedProblem(reason)
        if self._is_composed(problem.op):
            compose.check_labels(problem)
        lines = self._lines(problem, mode)
        g = seen(Given(*(self._placed(problem, name, device, mode) for name in ARRAYS)), self._bytes)
        tensors = {name: getattr(g, name) for name in ARRAYS if getattr(problem, name) is not None}
        names = {**self._names, **tensors}
        if self._compiled is None:
            exec(self._programs.get("\n".join(lines), lambda: compile("\n".join(lines), self.name, "exec")), names)
        else:
            with metered(self.meter, lambda: self._programs.made):
                key = (mode, device, tuple(lines), seen_by_compiler(problem))
                names["program"] = self._programs.get(key, lambda: self._defined(problem, mode, tensors, lines))
                results = names["program"](*tensors.values())
            names.update(zip(self._asked(problem, mode), results))
        return {name: self._pulled(names[name], device) for name in self._asked(problem, mode)}

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by the words of its message, then by its type."""
        return classified(error, self._errors)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the lines as a program of the framework alone."""
        body = []
        for name, a, entries in source.constants(problem):
            dtype = a.dtype.name if a.dtype.kind in "iu" else problem.dtype_of_input(name)
            array = "np.array(%s, %s).reshape(%r)" % (entries, _numpy_type(self._carried(dtype)), a.shape)
            body.append("%s = %s" % (name, self._put_text(array, dtype, device, mode)))
        lines, asked = self._lines(problem, mode), self._asked(problem, mode)
        if self._compiled is not None:
            given = [name for name, _ in source.arrays(problem)]
            lines = self._compiled(problem, mode, given, lines, asked)
            lines += ["", "%s, = program(%s)" % (", ".join(asked), ", ".join(given))]
        body += ["", *lines]
        pulls = [(name, self._pull_text(name, problem.dtype_of(name))) for name in asked]
        body += ['print("%s", %s.astype(float).tolist())' % pair for pair in pulls]
        # Not every module has a version of its own.
        first = self._packages[0]
        body.append('print("%s", %s)' % (first, _version(first)))
        besides = ["import ml_dtypes"] if "ml_dtypes." in "\n".join(body) else []
        imports = [self._imports[0], *besides, *self._imports[1:]]
        return source.program(source.title(problem, self.name), imports, body)

    def _is_composed(self, op: str) -> bool:
        return op in LOSSES and op not in self._functions

    def _asked(self, p: Problem, mode: str) -> List[str]:
        return [name for name in p.want if name in self._capabilities.in_mode(mode).outputs]

    def _lines(self, p: Problem, mode: str) -> List[str]:
        """Write the functions that are needed, and the lines that compute every output on offer."""
        wanted = self._needed(self._asked(p, mode))
        # Not formatted: the braces of a dictionary are their own.
        lines = [line.replace("{axis}", str(p.axis)) for n in wanted for line in self._derivatives[n].split("\n")]
        if not source.named(["value"], [line.partition("=")[0] for line in lines]):
            lines.insert(0, "value = f(x)")
            if not self._is_composed(p.op) and len(source.named(["f"], lines[1:])) == 0:
                lines[0] = "value = %s" % self._expression(p, mode)
        out = []
        for name, given, select_used in (("f", "x", True), ("of_target", "x, target", False)):
            if source.named([name], lines):
                out += self._function(name, given, p, mode, select_used=select_used)
        return [*out, *lines]

    def _needed(self, names: Sequence[str]) -> List[str]:
        """Return the derivatives that have to be computed for some outputs, those first that others are computed of."""
        needed = {name for name in names if name in self._derivatives}
        for name in reversed(tuple(TABLE)):
            if name in needed:
                # An attribute such as jax.vjp is none, nor is what is called.
                words = re.findall(r"(?<![.\w])\w+\b(?!\()", self._derivatives[name])
                needed.update(word for word in words if word in self._derivatives)
        return [name for name in TABLE if name in needed]

    def _function(self, name: str, given: str, p: Problem, mode: str, *, select_used: bool) -> List[str]:
        if self._is_composed(p.op):
            texts = {op: text for op, text in self._functions.items() if isinstance(text, str)}
            body = traced.loss(p, texts, mode, select_used=select_used)
        else:
            body = ["return %s" % self._expression(p, mode)]
        return ["def %s(%s):" % (name, given), *("    " + line for line in body), ""]

    def _expression(self, p: Problem, mode: str) -> str:
        told = self._functions[p.op]
        return told.format(x="x", axis=p.axis, mode=mode) if isinstance(told, str) else told(p, mode)

    def _defined(self, p: Problem, mode: str, given: Mapping[str, Any], lines: Sequence[str]) -> Any:
        # sanity check: only adapters with a compiler come here
        assert self._compiled is not None
        names = dict(self._names)
        exec("\n".join(self._compiled(p, mode, list(given), lines, self._asked(p, mode))), names)
        return names["program"]

    def _placed(self, p: Problem, name: str, device: str, mode: str) -> Any:
        a = getattr(p, name)
        if a is None:
            return None
        dtype = a.dtype.name
        if a.dtype.kind == "f":
            dtype = p.dtype_of_input(name)
            a = a.astype(_numpy_dtype(self._carried(dtype)))
        return eval(self._put_text("array", dtype, device, mode), self._names, {"array": np.asarray(a, order="C")})

    def _carried(self, dtype: str) -> str:
        """The dtype of the NumPy array that a tensor of a dtype is made of."""
        return "float32" if dtype == "bfloat16" and self._bfloat16 else dtype

    def _put_text(self, array: str, dtype: str, device: str, mode: str) -> str:
        text = self._put.format(a=array, device=self._place(device), mode=mode)
        return self._bfloat16[0].format(t=text) if self._bfloat16 and dtype == "bfloat16" else text

    def _pull_text(self, tensor: str, dtype: str) -> str:
        if self._bfloat16 and dtype == "bfloat16":
            tensor = self._bfloat16[1].format(t=tensor)
        return self._pull.format(t=tensor)

    def _pulled(self, t: Any, device: str) -> Tensor:
        place = "" if self._device_of is None else self._device_of(t)
        if place not in ("", device):
            raise RuntimeError("a result is on %s; the inputs were placed on %s" % (place, device))
        a = self._array(t)
        return Tensor(a.astype(np.float64), a.dtype.name)

    def _array(self, t: Any) -> np.ndarray:
        # Frameworks name a dtype in ways of their own: mlx.core.bfloat16.
        dtype = "bfloat16" if self._bfloat16 and str(t.dtype).endswith("bfloat16") else ""
        found: np.ndarray = eval(self._pull_text("tensor", dtype), self._names, {"tensor": t})
        return found.astype(_numpy_dtype(dtype)) if dtype else found

    def _bytes(self, t: Any) -> bytes:
        return self._array(t).tobytes()


def has_label_outside(p: Problem) -> bool:
    """Say whether a label is out of range, counted from either end."""
    if p.target is None or p.has_probability_target:
        return False
    classes = p.x.shape[p.axis]
    return bool(((p.target >= classes) | (p.target < -classes)).any())


def has_far_label(p: Problem) -> bool:
    """Say whether a label that is read, as those of ignored rows are for their weights, is far out of range."""
    if p.target is None or p.has_probability_target:
        return False
    read = p.target if p.weight is not None else p.target[p.target != p.ignore_index]
    return bool((abs(read) > 2 * p.x.shape[p.axis]).any())


def classified(error: Exception, errors: Sequence[Tuple[str, str]] = ()) -> str:
    """Return the kind of an exception, of ``ERROR_KINDS``: that of the first words which are in its message, then that
    of its type, as NumPy and JAX use types."""
    text = str(error)
    for words, kind in errors:
        if words in text:
            return kind
    if isinstance(error, IndexError):
        return "bad_label"
    if isinstance(error, TypeError):
        return "bad_shape" if "shape" in text else "bad_dtype"
    return "bad_shape" if isinstance(error, (ValueError, AssertionError)) else "internal"


def jitted(compiler: str) -> Compiler:
    """Return what writes a function of all arrays, compiled by a decorator such as ``jax.jit``."""

    def written(p: Problem, mode: str, given: Sequence[str], lines: Sequence[str], outputs: Sequence[str]) -> List[str]:
        body = ["    " + line if line else line for line in [*lines, "return %s," % ", ".join(outputs)]]
        return ["@%s" % compiler, "def program(%s):" % ", ".join(given), *body]

    return written


def _version(package: str) -> str:
    """Write an expression of the version of a distribution, or of the module where its builds have other names."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return '__import__("%s").__version__' % package
    return '__import__("importlib.metadata").metadata.version("%s")' % package


def _profiles(capabilities: Capabilities, functions: Mapping[str, Function]) -> Dict[Tuple[str, str], str]:
    composed = [op for op in LOSSES if op in capabilities.ops and op not in functions]
    return {(op, dtype): "W" for op in composed for dtype in ("bfloat16", "float16")}


def _numpy_type(dtype: str) -> str:
    return "ml_dtypes.bfloat16" if dtype == "bfloat16" else "np." + dtype


def _numpy_dtype(dtype: str) -> Any:
    if dtype != "bfloat16":
        return np.dtype(dtype)
    # NumPy has none of its own.
    import ml_dtypes

    return ml_dtypes.bfloat16
