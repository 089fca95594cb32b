"""The declaration of a caller about a function: what it takes, and how its results are to be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lossproof.adapters.outputs import OF_ONE_PASS, OUTPUTS, TABLE
from lossproof.adapters.protocol import DTYPES, LAYOUTS, LOSSES, MEANS, REDUCTIONS, Problem
from lossproof.core.call import LABEL_DTYPES
from lossproof.core.clauses import BY_ELEMENTS, BY_ROWS
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.operations import OPERATIONS, check_parts
from lossproof.core.profiles import known_profile
from lossproof.core.variant import Variant, variant_words, varied
from lossproof.functions.picked import Pick
from lossproof.targets.launch import TIMEOUT
from lossproof.targets.plain_function import DERIVATIVES, Function

# What labels of a loss may be.
TARGET_KINDS = ("index", "probability")


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A declaration is what a caller says of a function; None is found out by trial calls.

    The docstring of ``check_implementation`` has the meaning of each field.
    """

    op: str
    grad: Function | None = None
    derivatives: Mapping[str, Function] = field(default_factory=dict)
    autodiff: bool = True
    outputs: Sequence[str] | None = None
    name: str = ""
    framework: str | None = None
    device: str = "cpu"
    names: Mapping[str, str] | None = None
    pick: Pick = None
    dtypes: Sequence[str] | None = None
    options: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    reductions: Sequence[str] | None = None
    ranks: Sequence[int] | None = None
    max_classes: int | None = None
    finite: bool = False
    layouts: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    result_dtype: str | None = None
    error_profiles: Mapping[str, str] = field(default_factory=dict)
    online: bool = False
    mean: str = "mean"
    normalised_targets: bool = False
    full_smoothing: bool = True
    ignore_index: int | None = None
    wraps_negative_labels: bool = False
    zeroes_unknown_labels: bool = False
    conventions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    variant: Variant | None = None
    memory: str = ""
    defaults: Sequence[str] = ()
    isolate: bool = False
    timeout: float = TIMEOUT

    @property
    def given(self) -> dict[str, Function]:
        """The functions of derivatives that the caller has, by their outputs."""
        return {**({"vjp": self.grad} if self.grad is not None else {}), **self.derivatives}

    @property
    def variant_parts(self) -> tuple[str, ...]:
        """The parts that the variant adds, if it is one."""
        return () if self.variant is None else self.variant.parts

    @property
    def known(self) -> tuple[str, ...]:
        """The outputs that have an exact result: of a variant the value and its gradient."""
        return OUTPUTS if self.variant is None else OF_ONE_PASS

    def taken(self, found: frozenset[str]) -> frozenset[str]:
        """The options that the function takes, of those that are ``found`` in its signature."""
        return found if self.options is None else frozenset(self.options) | (found & frozenset(self.variant_parts))

    def variant_notes(self, taken: frozenset[str]) -> list[str]:
        """Say what the variant adds, if it is one, and which parts are built in, those not ``taken`` as arguments."""
        return [] if self.variant is None else [variant_words(self.variant, taken)]

    def own(self, p: Problem) -> Problem:
        """The problem that the function solves where the op would solve another: that of its variant."""
        return p if self.variant is None else varied(self.variant, p)

    def check(self) -> None:
        """Raise :class:`UsageError` for a name or a number that means nothing."""
        if self.op not in OPERATIONS:
            raise UsageError(f"unknown op {self.op!r}; expected one of {', '.join(OPERATIONS)}")
        if self.mean not in MEANS:
            raise UsageError(f"unknown mean {self.mean!r}; expected one of {', '.join(MEANS)}")
        unknown = ", ".join(sorted(set(self.derivatives) - set(DERIVATIVES)))
        if unknown:
            raise UsageError(f"unknown derivative {unknown}; expected {', '.join(DERIVATIVES)}")
        if self.variant is not None:
            if not isinstance(self.variant, Variant):
                raise UsageError(f"variant is a {type(self.variant).__name__}; expected a lossproof.Variant")
            check_parts(self.op, self.variant.parts)
        op = OPERATIONS[self.op]
        known = op.options | op.extras | frozenset(self.variant_parts)
        if self.options is not None and not frozenset(self.options) <= known:
            unknown = ", ".join(sorted(frozenset(self.options) - known))
            raise UsageError(f"{self.op} has no option {unknown}; expected {', '.join(sorted(known))}")
        for what, argument, given, names in (
            ("dtype", "dtypes", self.dtypes, list(FORMATS)),
            ("kind of target", "targets", self.targets, list(TARGET_KINDS)),
            ("reduction", "reductions", self.reductions, list(REDUCTIONS)),
            ("output", "outputs", self.outputs, list(OUTPUTS)),
            ("layout", "layouts", self.layouts, list(LAYOUTS)),
            ("dtype of labels", "labels", self.labels, list(LABEL_DTYPES)),
        ):
            if given is not None:
                some_names(what, argument, given, names)
        known_names("dtype of an error profile", self.error_profiles, list(FORMATS))
        for dtype, profile in self.error_profiles.items():
            known_profile(profile, dtype)
        if self.memory:
            if self.op not in LOSSES:
                raise UsageError(
                    f"memory is {self.memory!r}, and {self.op} returns N x K numbers; expected it of a loss"
                )
            known_names("growth of memory", [self.memory], [BY_ROWS, BY_ELEMENTS])
        if self.result_dtype is not None:
            known_names("dtype of the result", [self.result_dtype], list(DTYPES))
        known_names("option in defaults", self.defaults, sorted(op.options))
        for key in self.conventions:
            if not (isinstance(key, tuple) and len(key) == 2 and key[1] in OUTPUTS):
                raise UsageError(f"conventions has the key {key!r}; expected a clause and an output, ('4', 'value')")
        if not self.timeout > 0:
            raise UsageError(f"timeout is {self.timeout}; expected the seconds that one call may take")
        if self.max_classes is not None and self.max_classes < 1:
            raise UsageError(f"max_classes is {self.max_classes}; expected the largest number of classes that is taken")
        if self.outputs is not None and not any(TABLE[name].order == 0 for name in self.outputs) and not self.given:
            raise UsageError("outputs leaves the value out; expected it among them")


def some_names(what: str, argument: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Raise :class:`UsageError` for no name at all, and for one that is unknown."""
    if not given:
        raise UsageError(f"{argument} is empty; expected some of {', '.join(known)}")
    known_names(what, given, known)
