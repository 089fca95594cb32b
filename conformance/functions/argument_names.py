"""The names under which a function takes the arguments of an operation, read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lossproof.adapters.protocol import VARIANT_PARTS
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.core.operations import OPERATIONS

# Each argument of an operation, with the names that functions have for it; the first is that of the specification.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "x": (
        *("x", "logits", "logit", "input", "inputs", "_input", "preds", "pred", "y_pred", "scores"),
        *("log_probs", "log_prob", "logprobs", "outputs"),
    ),
    "target": ("target", "targets", "label", "labels", "y_true", "y", "tgt", "gt", "true"),
    "weight": ("weight", "weights", "class_weight", "class_weights", "ce_weight"),
    "axis": ("axis", "dim", "class_axis"),
    "ignore_index": ("ignore_index", "ignore_class", "ignore_label", "ignored_label", "ignored_index", "pad_index"),
    "reduction": ("reduction", "reduce", "reduction_type"),
    "label_smoothing": ("label_smoothing", "smoothing", "eps", "epsilon", "smooth_eps"),
    "out_dtype": ("out_dtype",),
    "scale": ("scale",),
    "z_loss": ("z_loss", "lse_square_scale", "z_loss_weight", "z_loss_scale", "z_loss_multiplier", "z_loss_factor"),
    "softcap": (
        "softcap",
        "soft_cap",
        "logit_softcapping",
        "logits_soft_cap",
        "logit_softcap",
        "final_logit_softcapping",
    ),
    "logit_scale": ("logit_scale", "logits_scale", "logit_multiplier", "scale"),
    "sample_weight": ("sample_weight", "sample_weights", "row_weight", "row_weights", "loss_weight", "loss_mask"),
}
# Arguments that are no option of an operation and have one right value.
_FIXED = {"from_logits": True}
# Parts of variants that are numbers: which a function has as an argument its signature says, or ``names``.
_NUMBERS = frozenset(VARIANT_PARTS) - {"sample_weight"}
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class ArgumentNames:
    """The way in which a function takes arguments: ``placed`` are passed by place, in this order, ``named`` under a
    name of the function's own, ``constants`` always.

    ``options`` are the options of the operation that it takes, ``anything`` says that it takes any keyword. ``own``
    has the function's own name of each argument. ``needs_label`` says that a label is always ignored: there is a number
    where others have None.
    """

    placed: tuple[str, ...]
    named: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    options: frozenset[str] = frozenset()
    anything: bool = False
    needs_label: bool = False
    own: Mapping[str, str] = field(default_factory=dict)

    def call(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        """Call the function with the values of an operation's arguments, by the names of the specification."""
        by_place = [values[name] for name in self.placed]
        rest = {self.named.get(name, name): v for name, v in values.items() if name not in self.placed}
        return function(*by_place, **rest, **self.constants)

    def text(self, values: Mapping[str, str]) -> str:
        """Write what stands between the brackets of such a call, from the texts of the values."""
        by_place = [values[name] for name in self.placed]
        rest = [f"{self.named.get(name, name)}={v}" for name, v in values.items() if name not in self.placed]
        return ", ".join([*by_place, *rest, *(f"{name}={v!r}" for name, v in self.constants.items())])


def argument_names(
    function: Callable[..., Any],
    op: str,
    *,
    names: Mapping[str, str] | None = None,
    extras: Collection[str] = (),
    shown: str = "the function",
) -> ArgumentNames:
    """Read how a function takes the arguments of an operation; ``names`` says it of arguments with other names.
    ``extras`` are those of the operation's extra options that it takes.

    Raises :class:`UsageError` for a function that cannot be called with them.
    """
    given = dict(names or {})
    known_names("argument in names", given, list(SYNONYMS))
    parameters = parameters_of(function)
    arrays = ("x", "target") if OPERATIONS[op].targets else ("x",)
    options = OPERATIONS[op].options | frozenset(extras) | (frozenset(given) & OPERATIONS[op].extras)
    if parameters is None:
        return ArgumentNames((*arrays, *(name for name in given if name not in arrays)))
    own = [p.name for p in parameters]
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    if not anything:
        for argument, name in given.items():
            if name not in own:
                raise UsageError(f"names says that {argument} is {name!r}, which {shown} does not take; {_takes(own)}")
    plain = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    found = _matched(plain, given, frozenset(arrays) | options, arrays)
    spread = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    missing = [name for name in arrays if name not in found]
    if missing and not (spread or anything):
        what = "logits and a target" if len(arrays) == 2 else "logits"
        raise UsageError(f"{shown} takes {_listed(own)}; {op} needs arguments for {what}{_hint(missing)}")
    unfilled = [p.name for p in plain if p.default is p.empty and p.name not in found.values() and p.name not in _FIXED]
    if unfilled:
        raise UsageError(
            f"{shown} needs {_listed(unfilled)}, which {op} has no value for; fix it with functools.partial, or say "
            f"which argument it is, as in names={{'weight': '{unfilled[0]}'}}"
        )
    return _made(plain, found, given, arrays, options, anything=anything, spread=spread)


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return the parameters of a function, or None where nothing says them, as of many built-in ones.

    Those of ``apply`` of a ``torch.autograd.Function`` are those of its ``forward``.
    """
    owner = getattr(function, "__self__", None)
    if getattr(function, "__name__", "") == "apply" and isinstance(owner, type) and hasattr(owner, "backward"):
        forward = list(inspect.signature(getattr(owner, "forward")).parameters.values())  # noqa: B009 (untyped)
        context = getattr(owner, "setup_context", None)
        # A class with a setup_context of its own has a forward without ctx.
        classes = [c for c in owner.__mro__ if c.__module__.partition(".")[0] != "torch"]
        own = context is not None and any("setup_context" in vars(c) for c in classes)
        return [p.replace(kind=p.POSITIONAL_ONLY) for p in (forward if own else forward[1:])]
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _matched(
    plain: Sequence[inspect.Parameter], given: Mapping[str, str], wanted: frozenset[str], arrays: Sequence[str]
) -> dict[str, str]:
    """Find the parameter of each argument: as is said, by its own name, by one that it often has, by its place."""
    left = [p for p in plain if p.name not in given.values()]
    found = dict(given)
    for rank in range(max(map(len, SYNONYMS.values()))):
        for argument, names in SYNONYMS.items():
            if argument in wanted and argument not in found and rank < len(names):
                match = next((p for p in left if p.name.lower() == names[rank]), None)
                if match is not None:
                    found[argument] = match.name
                    left.remove(match)
    # What has another name is known by its place: logits first, then the target.
    places = [p for p in left if p.kind in _BY_PLACE and (p.default is p.empty) and p.name not in _FIXED]
    for argument in arrays:
        if argument not in found and places:
            found[argument] = places.pop(0).name
    return found


def _made(
    plain: Sequence[inspect.Parameter],
    found: Mapping[str, str],
    given: Mapping[str, str],
    arrays: Sequence[str],
    options: frozenset[str],
    *,
    anything: bool,
    spread: bool,
) -> ArgumentNames:
    by_parameter = {name: argument for argument, name in found.items()}
    placed: list[str] = []
    # By place goes what has no name, and the arrays as long as nothing stands between them.
    only = [i for i, p in enumerate(plain) if p.kind is p.POSITIONAL_ONLY and p.name in by_parameter]
    last = only[-1] if only else -1
    for i, p in enumerate(plain):
        argument = by_parameter.get(p.name)
        if argument is None or p.kind not in _BY_PLACE or (i > last and argument not in arrays):
            break
        placed.append(argument)
    if spread and not placed:
        placed = list(arrays)
    taken = frozenset(found) & options
    # Any keyword would do for a number that a variant adds, one that the function has built in among them.
    any_option = (options - _NUMBERS) | taken
    default = next((p.default for p in plain if p.name == found.get("ignore_index")), None)
    return ArgumentNames(
        tuple(placed),
        {argument: name for argument, name in found.items() if name != argument and argument not in placed},
        {p.name: _FIXED[p.name] for p in plain if p.name in _FIXED and p.name not in by_parameter},
        any_option if anything else taken,
        anything,
        isinstance(default, int) and not isinstance(default, bool),
        found,
    )


def _takes(own: Sequence[str]) -> str:
    return f"it takes {_listed(own)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "no arguments"


def _hint(missing: Sequence[str]) -> str:
    return f"; say which they are, as in names={{'{missing[0]}': '...'}}"
