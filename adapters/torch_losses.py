"""Losses that libraries have on top of PyTorch: each is a call, written as the text that is both run and printed.

An adapter of one library is a table of such calls, one for each of its modes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

from . import source, torch_devices, torch_evidence
from .compose import wide
from .function_source import FRAMEWORKS
from .given import Given, ignored_label
from .protocol import ARRAYS, OUTPUTS, REDUCTIONS, Capabilities, Description, Problem, Support, UnsupportedProblem
from .torch_tensors import OFFERED_LAYOUTS, computed, derive, error_kind

Text = Callable[[Problem], str]
# The identity has as many rows and columns as there are classes.
_CLASSES = 2048


@dataclass(frozen=True)
class Loss:
    """A loss is a call of a function of ``x``, ``target`` and ``weight``.

    ``call``     writes it for a problem of the op ``cross_entropy``
    ``options``  the options that it has, of ``weight``, ``ignore_index`` and ``label_smoothing``. Default: none
    ``targets``  the kinds of targets that it takes. Default: labels
    ``widens``   whether the value of 16-bit logits is float32. Default: it has the dtype of the logits
    ``refused``  why it does not take a problem, an empty text if it does. Default: it takes all
    ``offered``  further fields of its capabilities. Default: none
    """

    call: Text
    options: Tuple[str, ...] = ()
    targets: Tuple[str, ...] = ("index",)
    widens: bool = False
    refused: Text = lambda p: ""
    offered: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TorchLosses:
    """An adapter of the losses of one library: ``losses`` by mode, the first of which is the default.

    ``package`` is what pip installs, and ``imports`` are the lines that the calls need, besides PyTorch's. Raises
    ModuleNotFoundError where the package is not installed.
    """

    name: str
    package: str
    imports: Sequence[str]
    losses: Mapping[str, Loss]

    def __post_init__(self) -> None:
        _names(tuple(self.imports))

    @cached_property
    def _capabilities(self) -> Capabilities:
        first, *_ = self.losses.values()
        return Capabilities(
            {"cross_entropy": Support("native", first.targets)},
            devices=torch_devices.present(),
            modes=tuple(self.losses),
            outputs=OUTPUTS,
            layouts=OFFERED_LAYOUTS,
            laid=ARRAYS,
            by_mode={mode: self._offered(loss) for mode, loss in self.losses.items()},
        )

    @staticmethod
    def _offered(loss: Loss) -> Dict[str, Any]:
        ops = {"cross_entropy": Support("native", loss.targets)}
        return {"ops": ops, "out_dtypes": tuple(ops) if loss.widens else (), **loss.offered}

    def describe(self) -> Description:
        """Report the library's version, PyTorch's, and what can change PyTorch's bits."""
        versions = {self.package: metadata.version(self.package), **torch_evidence.versions()}
        return Description(versions, torch_evidence.facts())

    def capabilities(self) -> Capabilities:
        """Offer the losses on every device of PyTorch."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Run the call, and differentiate it by autograd."""
        text = self._call(problem, mode)

        def outputs(g: Given) -> Dict[str, Any]:
            want = [name for name in problem.want if name in self._capabilities.in_mode(mode).outputs]
            f = _compiled(text, tuple(self.imports))
            return derive(lambda x, target: f(x, target, g.weight), g, want)

        return computed(problem, device, outputs)

    def _call(self, p: Problem, mode: str) -> str:
        loss = self.losses[mode]
        given = {
            "weight": p.weight is not None,
            "ignore_index": p.ignore_index is not None,
            "label_smoothing": p.label_smoothing != 0.0,
        }
        missing = [name for name, there in given.items() if there and name not in loss.options]
        reason = "it has no %s" % ", ".join(missing) if missing else loss.refused(p)
        if not reason and loss.widens and p.result_dtype != wide(p.dtype):
            reason = "its value is %s" % wide(p.dtype)
        if reason:
            raise UnsupportedProblem("%s: %s" % (self.name, reason))
        text = loss.call(p)
        if p.reduction not in REDUCTIONS and p.reduction not in text:
            raise UnsupportedProblem("%s: it has no argument for the reduction" % self.name)
        return text

    def error_kind(self, error: Exception) -> str:
        """Classify an exception as PyTorch's."""
        return error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the call as a program of PyTorch and the library."""
        offered = self._capabilities.in_mode(mode).outputs
        want = [name for name in problem.want if name in offered]
        call = self._call(problem, mode)
        imports = [line for line in self.imports if _is_used(line, [call, *self.imports])]
        return FRAMEWORKS["torch"].script(problem, self.package, device, want, call, imports, self.package)


def _is_used(line: str, lines: Sequence[str]) -> bool:
    """Tell whether lines need one of them that imports a single name; others are always there."""
    found = re.fullmatch(r"(?:from \S+ )?import (\w+)", line)
    return found is None or bool(source.named([found.group(1)], [other for other in lines if other != line]))


@lru_cache(maxsize=None)
def _names(imports: Tuple[str, ...]) -> Dict[str, Any]:
    names: Dict[str, Any] = {}
    exec("\n".join(["import torch", *imports]), names)
    return names


@lru_cache(maxsize=256)
def _compiled(text: str, imports: Tuple[str, ...]) -> Callable[[Any, Any, Any], Any]:
    function: Callable[[Any, Any, Any], Any] = eval("lambda x, target, weight: " + text, _names(imports))
    return function


def logits(p: Problem, place: int) -> str:
    """Write the logits with the class axis at a place: 1 or -1."""
    return "x" + _moved(p, place)


def target(p: Problem, place: int) -> str:
    """Write the target, probabilities with the class axis at a place."""
    return "target" + (_moved(p, place) if p.has_probability_target else "")


def _moved(p: Problem, place: int) -> str:
    place = min(place, p.x.ndim - 1) % p.x.ndim
    return "" if p.axis % p.x.ndim == place else ".movedim(%d, %d)" % (p.axis, place)


def options(p: Problem, **names: str) -> str:
    """Write options as keywords, under the names that a function has for them: the ignored label as a number."""
    values = {
        "weight": "weight" if p.weight is not None else "None",
        "ignore_index": "%d" % ignored_label(p),
        "label_smoothing": repr(p.label_smoothing),
        "reduction": '"%s"' % p.reduction,
    }
    return ", ".join("%s=%s" % (name, values[option]) for name, option in names.items())


def identity_fails(p: Problem) -> str:
    """Say why a product with the identity is not the logits, an empty text if it is."""
    if not 0 < p.x.shape[p.axis] <= _CLASSES:
        return "the identity is one of 1 to %d classes" % _CLASSES
    # 0 times infinity.
    return "" if abs(p.x).max(initial=0.0) < float("inf") else "the identity makes NaN of infinite logits"


def part(package: str, place: str) -> Tuple[str, ...]:
    """Write the imports of a module or folder of a package without the package's other parts, which may need more.

    Its name is the last part of ``place``. Raises ModuleNotFoundError where the package is not installed.
    """
    if find_spec(package) is None:
        raise ModuleNotFoundError("No module named %r" % package, name=package)
    name = place.rpartition("/")[2].partition(".")[0]
    if not place.endswith(".py"):
        place += "/__init__.py"
    return (
        "import importlib.util, sys",
        'folder = importlib.util.find_spec("%s").submodule_search_locations[0]' % package,
        'spec = importlib.util.spec_from_file_location("%s_%s", folder + "/%s")' % (package, name, place),
        "sys.modules[spec.name] = %s = importlib.util.module_from_spec(spec)" % name,
        "spec.loader.exec_module(%s)" % name,
    )
