"""The protocol between the engine and an adapter: problems, outcomes, capabilities, error kinds.

This module and its siblings run on Python 3.8 with nothing but numpy and the framework, because a target may
live in somebody else's old environment. They import nothing of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np

from .outcome import GiantOutcome, Meter, Outcome, ProcessLost, Tensor, UnsupportedProblem
from .outputs import ARRAYS, NEEDS, OUTPUTS, REDUCED, wanted

try:  # Python 3.8 has Protocol; keep the import in one place for type checkers.
    from typing import Protocol, runtime_checkable
except ImportError:  # pragma: no cover
    raise SystemExit("lossproof adapters need Python 3.8 or newer") from None

__all__ = [
    "ARRAYS",
    "COMPOSED",
    "DTYPES",
    "ERROR_KINDS",
    "LAYOUTS",
    "LOSSES",
    "MEANS",
    "NEEDS",
    "OPS",
    "OUTPUTS",
    "REDUCED",
    "REDUCTIONS",
    "THREADS",
    "VARIANT_PARTS",
    "Adapter",
    "Capabilities",
    "Description",
    "Giant",
    "GiantOutcome",
    "Meter",
    "Outcome",
    "Problem",
    "ProcessLost",
    "Support",
    "Tensor",
    "UnsupportedProblem",
]

OPS = ("softmax", "log_softmax", "nll_loss", "cross_entropy")
# Those that take a target and a reduction.
LOSSES = ("nll_loss", "cross_entropy")
DTYPES = ("float64", "float32", "bfloat16", "float16")
REDUCTIONS = ("none", "sum", "mean")
MEANS = ("mean", "mean_over_rows", "mean_over_kept")
LAYOUTS = ("contiguous", "transposed", "stepped", "reversed", "expanded", "offset", "fortran", "gapped")
ERROR_KINDS = ("bad_label", "bad_shape", "bad_dtype", "bad_option", "unsupported", "resource", "internal")
# What variants of an op add to it (docs/variants.md).
VARIANT_PARTS = ("z_loss", "softcap", "logit_scale", "sample_weight")
# How many threads frameworks use is read from these when they are imported (the last is XLA's for the CPU), and changes
# bits: what they were belongs to the evidence.
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC")


@dataclass(frozen=True, eq=False)
class Problem:
    """One mathematical problem with exact inputs, as an adapter sees it. It is equal to itself alone.

    All floating-point arrays are float64 arrays whose entries are exactly representable in ``dtype``; an adapter
    converts them to its own tensors of that dtype without rounding.

    ``op``         the operation, one of ``OPS``
    ``dtype``      the dtype of all floating-point inputs, but see ``out_dtype``; one of ``DTYPES``
    ``x``          logits (``nll_loss``: log-probabilities), any rank >= 1, class axis ``axis`` of size K
    ``target``     int64 labels (shape of ``x`` without ``axis``), float64 probabilities (shape of ``x``), or None
    ``weight``     float64 ``(K,)`` class weights, or None
    ``cotangent``  upstream gradient, the shape of the value, or None where only the value is wanted
    ``axis``       the class axis of ``x``, counted from either end. Default: the last
    ``reduction``  of a loss, one of ``REDUCTIONS``. Default: ``mean``
    ``ignore_index`` the label of rows that take no part, or None
    ``label_smoothing`` eps from 0 to 1: targets become ``(1 - eps) q + eps / K``. Default: 0
    ``tangent``    direction in ``x`` for the JVP and the HVP, the shape of ``x``, or None
    ``wrt_target`` whether the gradient with respect to probability targets is wanted too
    ``target_tangent`` direction in the probabilities for the JVP in them and the mixed second derivative, the shape of
                   ``x``, or None
    ``layout``     how arrays lie in memory, one of ``LAYOUTS``; see ``layouts``
    ``laid``       the one array, of ``ARRAYS``, that lies so. Default: nothing, the input and the cotangent do
    ``out_dtype``  the dtype of the value where it is wider than the input's, or None: what is computed of the input
                   converted first. Cotangent, weights and probabilities have it, too; the gradient has ``dtype``
    ``repeat_backward`` whether the VJP is wanted a second time, from the same forward pass, as ``vjp_again``
    ``omit``       whether arguments are left out that have the value given here as their default
    ``scale``      factor on ``x`` before the op, in one computation with it (a compiler may fuse them); values only,
                   and only of an adapter whose ``scales`` has the op
    ``sample_weight`` float64 factor of each row of a loss, the shape of ``x`` without ``axis``, or None
    ``z_loss``     factor of the squared log-sum-exp that is added to each row of a loss. Default: 0, nothing is
    ``softcap``    c where the op takes ``c tanh(x / c)`` of its input. Default: 0, it takes the input
    ``logit_scale`` factor on ``x`` before that. Default: 1. These four make a variant of the op (docs/variants.md),
                   which is asked only of an adapter whose ``variants`` names all that are used
    ``only``       the outputs to compute, where these are not all that the fields above ask for; None for all
    """

    op: str
    dtype: str
    x: np.ndarray
    target: Optional[np.ndarray] = None
    weight: Optional[np.ndarray] = None
    cotangent: Optional[np.ndarray] = None
    axis: int = -1
    reduction: str = "mean"
    ignore_index: Optional[int] = None
    label_smoothing: float = 0.0
    tangent: Optional[np.ndarray] = None
    wrt_target: bool = False
    target_tangent: Optional[np.ndarray] = None
    layout: str = "contiguous"
    laid: str = ""
    out_dtype: Optional[str] = None
    repeat_backward: bool = False
    omit: bool = False
    scale: float = 1.0
    sample_weight: Optional[np.ndarray] = None
    z_loss: float = 0.0
    softcap: float = 0.0
    logit_scale: float = 1.0
    only: Optional[Tuple[str, ...]] = None

    @property
    def variant_parts(self) -> Tuple[str, ...]:
        """The fields of ``VARIANT_PARTS`` that are in use: the op is then a variant, no op of the core."""
        used = (self.z_loss != 0.0, self.softcap != 0.0, self.logit_scale != 1.0, self.sample_weight is not None)
        return tuple(name for name, there in zip(VARIANT_PARTS, used) if there)

    def dtype_of_input(self, name: str) -> str:
        """The floating-point dtype of an array of ``ARRAYS``."""
        return self.dtype if name in ("x", "tangent") else self.result_dtype

    @property
    def result_dtype(self) -> str:
        """The dtype of the value."""
        return self.out_dtype or self.dtype

    @property
    def is_loss(self) -> bool:
        """Say whether the op takes a target and a reduction."""
        return self.op in LOSSES

    @property
    def has_probability_target(self) -> bool:
        """Say whether the target holds class probabilities rather than class indices."""
        return self.target is not None and self.target.dtype.kind == "f"

    @cached_property
    def want(self) -> Tuple[str, ...]:
        """The outputs asked for, by what is given: see the fields. The value is among them unless ``only`` says so."""
        given = ((name, getattr(self, name)) for name in NEEDS)
        there = frozenset(name for name, value in given if value is not None and value is not False)
        every = wanted(self.op, there, probabilities=self.has_probability_target)
        return every if self.only is None else tuple(name for name in every if name in self.only)

    @property
    def row_shape(self) -> Tuple[int, ...]:
        """The shape of the rows: that of ``x`` without its class axis."""
        axis = self.axis % self.x.ndim
        return self.x.shape[:axis] + self.x.shape[axis + 1 :]

    def shape_of(self, output: str) -> Tuple[int, ...]:
        """The shape of an output."""
        if not self.is_loss or output not in REDUCED:
            return self.x.shape
        return self.row_shape if self.reduction == "none" else ()

    def dtype_of(self, output: str) -> str:
        """The dtype of an output."""
        return self.result_dtype if output in REDUCED else self.dtype


@dataclass(frozen=True, eq=False)
class Giant:
    """A giant problem is a small one spread over large tensors, of two axes, the classes last.

    ``problem``  the small one, of n rows and k classes
    ``rows``     the rows of the giant tensor: row r is row r modulo n of the small one
    ``classes``  its classes
    ``places``   int64 ``(k - 1,)``: where the classes of the small one but its last are, which is at all other places;
                 empty where the classes are as many
    """

    problem: Problem
    rows: int
    classes: int
    places: np.ndarray

    def labels(self) -> np.ndarray:
        """Return the label of each row of the giant tensor, int64; a label that is ignored stays what it is."""
        p = self.problem
        # sanity check: who asks for labels has some
        assert p.target is not None
        here = p.target
        if self.places.size:
            ignored = here == p.ignore_index if p.ignore_index is not None else np.zeros(here.shape, dtype=bool)
            here = np.where(ignored, here, self.places[np.where(ignored, 0, here)])
        return self.repeated(here)

    def repeated(self, a: np.ndarray) -> np.ndarray:
        """Return an array of the small problem's rows for those of the giant one."""
        out = np.empty((self.rows, *a.shape[1:]), dtype=a.dtype)
        whole = self.rows // len(a) * len(a)
        out[:whole].reshape(-1, *a.shape)[...] = a
        out[whole:] = a[: self.rows - whole]
        return out


@dataclass(frozen=True)
class Support:
    """Support is the way in which an adapter offers one op.

    ``how``      ``native``, the framework's own function, or ``composed``, written from its primitives
    ``targets``  kinds of targets that a loss takes, ``index`` and ``probability``; without meaning for the other ops.
                 Default: both
    ``note``     what a reader should know about the way, such as a name: ``"tf.nn.log_softmax"``. Default: empty
    """

    how: str
    targets: Tuple[str, ...] = ("index", "probability")
    note: str = ""


_HOW = "composed of the framework's own log_softmax, in float32 (float64 for float64)"
# The losses of a framework that has none, as ``program_adapter`` writes them by section 2 of the specification.
COMPOSED: Mapping[str, Support] = {
    "nll_loss": Support("composed", ("index",), _HOW),
    "cross_entropy": Support("composed", note=_HOW),
}


@dataclass(frozen=True)
class Capabilities:
    """Capabilities declare what an adapter can do. The engine asks for nothing outside them, and judges by them.

    What is on offer:

    ``ops``         ``{op: Support}``, the ops of ``OPS`` on offer. No default. ``{"softmax": Support("native")}``
    ``dtypes``      dtypes of the input, of ``DTYPES``. Default: all four. ``("float32", "bfloat16")``
    ``devices``     devices, as target strings name them (``torch:cuda:0``), the first one by default. Default:
                    ``("cpu",)``. ``("cpu", "cuda:0")``
    ``modes``       ways to compute, as target strings name them (``torch+compile``), the first one by default. Default:
                    ``("eager",)``. ``("eager", "compile")``
    ``outputs``     outputs, of ``OUTPUTS``: where a problem asks for others, they are not judged. Default:
                    ``("value", "vjp")``
    ``layouts``     layouts in memory of the input and the cotangent, of ``LAYOUTS``. Default: ``("contiguous",)``
    ``laid``        the arrays, of ``ARRAYS``, that may have one of these alone. Default: none. ``("target", "weight")``
    ``out_dtypes``  the ops whose value may have a dtype wider than their input's. Default: none. ``("softmax",)``
    ``omits``       the ops whose arguments may be left out where they have the defaults that :class:`Problem` names.
                    Default: none
    ``scales``      the ops whose input may come with a factor (``Problem.scale``), multiplied in one computation with
                    the op. Default: none. ``("log_softmax",)``
    ``variants``    what variants of the ops may add, of ``VARIANT_PARTS``. Default: nothing. ``("softcap",)``
    ``normalised_targets`` whether the function documents ``sum q = 1``: it gets no other probability targets.
                    Default: False
    ``reductions``  reductions of losses, of ``REDUCTIONS``. Default: all three. ``("mean",)``
    ``ranks``       numbers of axes that the input may have. Default: none, which is any. ``(2,)``
    ``full_smoothing`` whether ``label_smoothing`` may be 1, where the labels have no influence. Default: True
    ``fixed_ignore_index`` the one label that is ignored, always, where it cannot be chosen. Default: None, which is
                    any. ``-100``

    How the results are judged (docs/bounds.md, section 1):

    ``profiles``    ``{(op, dtype): "W" | "F" | "S" | "N"}``, error profiles where they differ from those of the format:
                    W for float64 and float32, N in 16 bits. Default: none. ``{("softmax", "bfloat16"): "W"}``
    ``online``      whether kernels rescale partial sums when the running maximum grows. Default: False
    ``mean``        what the reduction ``mean`` of index targets is, one of ``MEANS``: it divides by the weights of the
                    labels (``mean``), by all rows (``mean_over_rows``) or by those not ignored (``mean_over_kept``).
                    Default: ``"mean"``

    ``memory``      ``{loss: "O(N)"}``, the losses that promise to take no memory for each logit beyond their inputs
                    and the gradient that they return, as fused kernels do (docs/giant.md). Default: none.
                    ``{"cross_entropy": "O(N)"}``

    Conventions, where the specification leaves a choice (section 4):

    ``wraps_negative_labels`` whether labels below 0 count from the end (clause 13). Default: False
    ``zeroes_unknown_labels`` whether a label out of range contributes nothing (clause 13). Default: False
    ``conventions`` ``{(clause, op, output): behaviours}``, what the framework intends, in the words of the run's table
                    of conventions, joined with ``|`` where there are several: a run that shows another behaviour fails.
                    What is not declared is recorded. Default: none. ``{("4", "softmax", "value"): "nan"}``

    What it costs, and what differs:

    ``variables``   environment variables, with values, under which other kernels run: ``lossproof targets NAME``
                    lists them to whoever wants targets such as ``torch%ATEN_CPU_CAPABILITY=default``. Default: none.
                    ``("ATEN_CPU_CAPABILITY=default", "OMP_NUM_THREADS=4")``
    ``compile_cost`` what a new signature costs: ``none``, ``cheap`` (fractions of a second) or ``dear`` (seconds); dear
                    ones get a smaller deck. Default: ``"none"``
    ``by_mode``     ``{mode: {field: value}}``, what differs in some modes; see ``in_mode``. Default: nothing.
                    ``{"compile": {"compile_cost": "dear"}}``
    ``by_device``   ``{kind of device: {field: value}}``, what differs on some devices. Default: nothing.
                    ``{"cl": {"compile_cost": "dear"}}`` is for ``cl`` and ``cl:1``
    """

    ops: Mapping[str, Support]
    dtypes: Tuple[str, ...] = DTYPES
    devices: Tuple[str, ...] = ("cpu",)
    modes: Tuple[str, ...] = ("eager",)
    profiles: Mapping[Tuple[str, str], str] = field(default_factory=dict)
    online: bool = False
    compile_cost: str = "none"
    outputs: Tuple[str, ...] = ("value", "vjp")
    layouts: Tuple[str, ...] = ("contiguous",)
    laid: Tuple[str, ...] = ()
    normalised_targets: bool = False
    mean: str = "mean"
    wraps_negative_labels: bool = False
    zeroes_unknown_labels: bool = False
    conventions: Mapping[Tuple[str, str, str], str] = field(default_factory=dict)
    out_dtypes: Tuple[str, ...] = ()
    omits: Tuple[str, ...] = ()
    scales: Tuple[str, ...] = ()
    variants: Tuple[str, ...] = ()
    variables: Tuple[str, ...] = ()
    reductions: Tuple[str, ...] = REDUCTIONS
    ranks: Tuple[int, ...] = ()
    full_smoothing: bool = True
    fixed_ignore_index: Optional[int] = None
    memory: Mapping[str, str] = field(default_factory=dict)
    by_mode: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by_device: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def in_mode(self, mode: str, device: str = "") -> Capabilities:
        """The capabilities in one of the modes, on a device: these, with what ``by_mode`` and ``by_device`` say of it.

        Where both say something of a field, the mode has the word.
        """
        differing = {**self.by_device.get(device.partition(":")[0], {}), **self.by_mode.get(mode, {})}
        return replace(self, **differing) if differing else self


@dataclass(frozen=True)
class Description:
    """The evidence about a framework that goes into every record.

    ``versions``  ``{package: version}`` of what computes. ``{"torch": "2.4.0", "numpy": "2.1.0"}``
    ``facts``     ``{name: value}`` of whatever else can change bits: build, flags, instruction set. Default: none.
                  ``{"cudnn": "90100", "threads": "1"}``
    """

    versions: Mapping[str, str]
    facts: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Adapter(Protocol):
    """An implementation under test. Nothing is subclassed: a module or an object with these members will do.

    ``name``, ``describe``, ``capabilities``, ``evaluate``, ``error_kind`` and ``script`` are required. One that
    compiles may have a :class:`Meter` as ``meter`` besides, one that has its tensors timed a method ``timed`` (see
    ``kernel_times``), and one that takes giant problems a ``giant.GiantDriver`` as ``giant``; one that makes tensors
    shows them to ``watch.seen`` when they are made, so that an operation is caught that writes into them.
    """

    @property
    def name(self) -> str:
        """The first part of a target string, ``torch`` in ``torch+compile``; the same in every mode."""
        ...

    def describe(self) -> Description:
        """Return the versions and build facts of the framework. It is called when a run starts."""
        ...

    def capabilities(self) -> Capabilities:
        """Return what is on offer, found out at run time. It is called for every problem: keep the answer."""
        ...

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute the outputs in ``problem.want`` on a device, in a mode, as ``{name: Tensor}``.

        ``problem`` is within the capabilities. Each :class:`Tensor` has the shape ``problem.shape_of(name)`` and the
        dtype that the framework returned, which must be ``problem.dtype_of(name)`` to be right. An output that is left
        out counts as not on offer; in place of a tensor an exception says that this output alone failed.
        Raises :class:`UnsupportedProblem` for what the capabilities cannot say, and :class:`ProcessLost` where a call
        has left a process that can answer no other; the framework's own exceptions pass through, to be named by
        ``error_kind``.
        """
        ...

    def error_kind(self, error: Exception) -> str:
        """Return which of ``ERROR_KINDS`` an exception of the framework is, ``internal`` where no other fits."""
        ...

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Return a program of this framework alone that evaluates the problem in this way and prints every output.

        It ends with one line for each output, ``print("NAME", EXPRESSION)`` with nested lists of floats, and one that
        prints the framework's version. What precedes them after the last empty line may raise what ``evaluate`` does.
        Raises :class:`NotImplementedError` if the adapter writes no programs.
        """
        ...
