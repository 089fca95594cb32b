"""The adapter of a function with what it offers: plain for NumPy, differentiating for the other frameworks."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import ARRAYS, Capabilities, Support
from lossproof.functions.argument_names import ArgumentNames, parameters_of
from lossproof.functions.callee import Callee
from lossproof.functions.declaration import Declaration
from lossproof.functions.frameworks import has_x64, tensors
from lossproof.functions.picked import picked
from lossproof.functions.tensor_function import TensorFunctionAdapter
from lossproof.targets.plain_function import Function, FunctionAdapter

FunctionAsAdapter = FunctionAdapter | TensorFunctionAdapter
# What a new signature costs, in the words of ``Capabilities``.
_COSTS = {"jax": "cheap"}


@dataclass(frozen=True)
class Offer:
    """An offer is what a function takes and gives, as far as trial calls find it out."""

    dtypes: Sequence[str]
    kinds: Sequence[str]
    reductions: Sequence[str]
    outputs: Sequence[str]
    ranks: Sequence[int]
    options: frozenset[str]


def adapter_of(
    who: Callee, d: Declaration, names: ArgumentNames, framework: str, offer: Offer, found: Mapping[str, Any]
) -> FunctionAsAdapter:
    """Make the adapter of a function; ``found`` are options that it does not take, with the values that they have."""
    fixed = dict(found)
    if d.ignore_index is not None:
        fixed["ignore_index"] = d.ignore_index
    if d.result_dtype is not None:
        fixed["out_dtype"] = d.result_dtype
    refuses: dict[str, Any] = {
        "reductions": tuple(offer.reductions),
        "ranks": tuple(offer.ranks),
        "full_smoothing": d.full_smoothing,
        "fixed_ignore_index": d.ignore_index,
        "wraps_negative_labels": d.wraps_negative_labels,
        "zeroes_unknown_labels": d.zeroes_unknown_labels,
    }
    if framework == "numpy":
        return _of_numpy(who, d, names, offer, fixed, refuses)
    kit = tensors(framework)
    layouts = tuple(v for v in kit.OFFERED_LAYOUTS if d.layouts is None or v in d.layouts)
    capabilities = Capabilities(
        {d.op: Support("native", tuple(offer.kinds))},
        tuple(offer.dtypes),
        devices=(d.device,),
        profiles={(d.op, dtype): profile for dtype, profile in d.error_profiles.items()},
        online=d.online,
        outputs=tuple(offer.outputs),
        out_dtypes=(d.op,) if "out_dtype" in offer.options or d.result_dtype is not None else (),
        layouts=layouts,
        laid=ARRAYS if len(layouts) > 1 else (),
        omits=(d.op,) if d.defaults else (),
        scales=(d.op,),
        variants=d.variant_parts,
        normalised_targets=d.normalised_targets,
        mean=d.mean,
        memory={d.op: d.memory} if d.memory else {},
        conventions={(clause, d.op, output): shown for (clause, output), shown in d.conventions.items()},
        compile_cost=_COSTS.get(framework, "none"),
        **refuses,
    )
    return TensorFunctionAdapter(
        name=who.name,
        op=d.op,
        framework=framework,
        value=who.call,
        names=names,
        offered=capabilities,
        options=offer.options,
        derivatives={name: _in_own_words(f, names) for name, f in _asked(d.given, offer).items()},
        fixed=fixed,
        pick=d.pick,
        labels=_labels(d, framework),
        defaults=frozenset(d.defaults),
    )


def _asked(derivatives: Mapping[str, Function], offer: Offer) -> dict[str, Function]:
    """Those of some functions whose outputs are on offer."""
    wanted = {TABLE[name].repeats or name for name in offer.outputs}
    return {name: f for name, f in derivatives.items() if name in wanted}


def _in_own_words(derivative: Function, names: ArgumentNames) -> Function:
    """A derivative that is called by the function's own names for arguments, where it has these."""
    own = {p.name for p in parameters_of(derivative) or ()}
    words = {argument: name for argument, name in names.own.items() if name in own and argument not in own}
    if not words:
        return derivative

    @functools.wraps(derivative)
    def called(*arrays: Any, **keywords: Any) -> Any:
        return derivative(*arrays, **{words.get(name, name): value for name, value in keywords.items()})

    return called


def _labels(d: Declaration, framework: str) -> str:
    """The dtype in which labels of int64 arrive."""
    if framework == "jax" and not has_x64():
        return "int32"
    return "int64" if d.labels is None or "int64" in d.labels else d.labels[0]


def _of_numpy(
    who: Callee,
    d: Declaration,
    names: ArgumentNames,
    offer: Offer,
    fixed: Mapping[str, Any],
    refuses: Mapping[str, Any],
) -> FunctionAdapter:
    def value(x: Any, **keywords: Any) -> Any:
        return picked(names.call(who.call, {"x": x, **keywords}), d.pick, who.name)

    # Messages have the function's own name.
    value.__name__ = who.name
    # A function that is called by the names of the specification is called as it is.
    as_it_is = names.placed == ("x",) and not names.named and not names.constants and d.pick is None
    return FunctionAdapter(
        who.name,
        d.op,
        who.call if as_it_is else value,
        None if d.grad is None or "vjp" not in _asked(d.given, offer) else _in_own_words(d.grad, names),
        tuple(offer.dtypes),
        offer.options,
        tuple(offer.kinds),
        d.error_profiles,
        {name: _in_own_words(f, names) for name, f in _asked(d.derivatives, offer).items()},
        d.online,
        d.mean,
        d.normalised_targets,
        d.conventions,
        refuses,
        frozenset(d.defaults),
        fixed,
        layouts=d.layouts,
        labels=_labels(d, "numpy"),
        memory=d.memory,
        needs_label=names.needs_label,
        outputs=tuple(offer.outputs),
        variants=d.variant_parts,
    )
