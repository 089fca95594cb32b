"""What a mutant and a control are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property

from lossproof.adapters.protocol import Capabilities
from lossproof.core.operations import OPERATIONS
from lossproof.targets.plain_function import FunctionAdapter
from lossproof.targets.target import Target

from .softmax_steps import Function

TABLE = "kill table"
WIDE_DTYPES = ("float64", "float32")
ALL_DTYPES = (*WIDE_DTYPES, "bfloat16", "float16")
F64_ONLY = ("float64",)
F16_ONLY = ("float16",)
# For mistakes that do not depend on the format: one wide format and one 16-bit format (profile N).
ONE_OF_EACH = ("float32", "float16")
# What the correct parents declare: they compute 16-bit formats in float32 and round once.
ALL_WIDE = {"bfloat16": "W", "float16": "W"}


@dataclass(frozen=True)
class _Adapter(FunctionAdapter):
    """A mutant as an adapter, which is asked for its capabilities before every call."""

    def capabilities(self) -> Capabilities:
        """As plain functions have them."""
        return self._capabilities

    @cached_property
    def _capabilities(self) -> Capabilities:
        return super().capabilities()


@dataclass(frozen=True)
class KnownTarget(Target):
    """A target whose adapter is asked for its capabilities once."""

    @cached_property
    def capabilities(self) -> Capabilities:
        """Those of the adapter, in the mode of the target."""
        return super().capabilities


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation that the suite must kill, or a correct one (kind ``control``) that it must not touch.

    ``row`` is the kill table's name for the kind of problem (``ce_mean`` is cross_entropy with index targets and
    reduction mean); ``why`` the mechanism; ``expect`` the dtypes in which it must be killed, a subset of ``dtypes``,
    in which it runs: elsewhere it is below rounding. ``family`` names families that were made for it. ``source`` is the
    kill table, a clause of the specification, or a bug of ``matrix/upstream_bugs.json`` with its upstream reference, of
    which it may be a sibling. ``allowed`` names the clause that lets it live: then only the difference from its
    ``parent`` (by default the plain control of its op, whose profile and conventions it declares) shows it, in bits,
    grade or convention. ``restart`` is for mutants that remember calls: it makes them forget.
    ``defaults`` are the arguments that it may be called without.
    """

    name: str
    op: str
    row: str
    why: str
    value: Function
    grad: Function | None = None
    dtypes: tuple[str, ...] = WIDE_DTYPES
    expect: tuple[str, ...] = WIDE_DTYPES
    options: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ("index", "probability")
    profiles: Mapping[str, str] = field(default_factory=dict)
    derivatives: Mapping[str, Function] = field(default_factory=dict)
    online: bool = False
    mean: str = "mean"
    normalised_targets: bool = False
    kind: str = "mutant"
    family: str = ""
    source: str = TABLE
    allowed: str = ""
    parent: str = ""
    restart: Callable[[], None] | None = None
    defaults: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Unique, readable name."""
        return f"{self.row}: {self.name}"

    @property
    def reference(self) -> str:
        """The id of the parent."""
        return self.parent or f"control {self.op}: np"

    def adapter(self) -> FunctionAdapter:
        """The mutant as an adapter."""
        return self._adapter

    @cached_property
    def _adapter(self) -> FunctionAdapter:
        known = {f.name for f in fields(FunctionAdapter)}
        given = {k: getattr(self, k) for k in known if k in _FIELDS} | {"name": self.id}
        return _Adapter(**given)

    def target(self) -> Target:
        """The mutant as the engine sees it."""
        return self._target

    @cached_property
    def _target(self) -> Target:
        return KnownTarget(self._adapter)


_FIELDS = {f.name for f in fields(Mutant)}


def options(op: str) -> frozenset[str]:
    """Everything that an op takes."""
    return OPERATIONS[op].options
