"""The findings of trial calls about a function: what it will be asked, and in a line each what it will not, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossproof.adapters.outputs import OF_ONE_PASS, TABLE
from lossproof.adapters.protocol import DTYPES, REDUCTIONS, Adapter, Outcome, Problem
from lossproof.core.errors import UsageError
from lossproof.core.formats import FLOAT32, FLOAT64, FORMATS
from lossproof.core.operations import OPERATIONS
from lossproof.functions.argument_names import ArgumentNames
from lossproof.functions.callee import Callee
from lossproof.functions.declaration import TARGET_KINDS, Declaration
from lossproof.functions.frameworks import FRAMEWORKS, has_x64
from lossproof.functions.function_adapter import FunctionAsAdapter, Offer, adapter_of
from lossproof.functions.guard import HANGS, GuardedFunction
from lossproof.functions.trial import (
    alike_rows,
    asked_words,
    first_row,
    of_rank,
    options_in_use,
    ordinary_problem,
    refused,
    second_differs,
    short,
    trial_of,
    with_directions,
)
from lossproof.targets.plain_function import NUMPY_DTYPES
from lossproof.targets.player import Player

# Derivatives that a function has of itself if its framework has them; a gradient has to be there.
_OPTIONAL = tuple(name for name in TABLE if name not in OF_ONE_PASS)
_A_LAYER = (
    "its weight is None in calls without class weights; where it is that of a layer, a function with the identity as "
    "weight can be judged: lambda x, y: f(x, torch.eye(x.shape[1]), y) (docs/kernels.md)"
)
_NOT_ITS_DERIVATIVE = (
    "what autodiff gives is not the derivative of its gradient, a rule of its own that keeps values of the forward "
    "pass; outputs= judges it all the same"
)


@dataclass(frozen=True)
class TrialFindings:
    """Findings are the result of trial calls: the adapter with what is on offer, and ``notes`` about it in a line each.

    ``broken`` is the one call that is asked of a function that answers no ordinary call at all, ``start`` an ordinary
    one that it answers. ``prints`` says that it writes to standard output, ``watched`` that inputs are compared before
    and after every call.
    """

    adapter: Adapter | Player
    dtypes: tuple[str, ...]
    kinds: tuple[str, ...]
    notes: tuple[str, ...] = ()
    broken: Problem | None = None
    start: Problem | None = None
    prints: bool = False
    watched: bool = False


@dataclass
class Finder:
    """A finder asks trial calls of one function, and keeps what it has found out so far."""

    who: Callee
    declaration: Declaration
    names: ArgumentNames
    framework: str
    fixed: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    hangs: str = ""
    kinds: tuple[str, ...] = ()

    def found(self) -> TrialFindings:
        """Find out everything, in the order in which one thing needs another."""
        d = self.declaration
        start, why, reductions = self.base()
        if why:
            # What fails at an ordinary call fails everywhere: once is enough, unless something else can be judged.
            return replace(self.untried(reductions), broken=None if d.given else d.own(start), start=None)
        options = self._options(start)
        ranks = self._ranks(start)
        dtypes = self._of_dtypes(start)
        targets = self._of_targets(start)
        outputs = self._of_outputs(replace(start, dtype=dtypes[0]), targets)
        adapter = self._adapter(dtypes, targets, reductions, outputs, ranks=ranks, options=options)
        if self.printed:
            first = self.printed[0].strip().partition("\n")[0][:60]
            self.notes.append(f"it prints ({first!r}); what it prints is not shown while it is judged")
        if "ignore_index" in OPERATIONS[d.op].options - options and "index" in targets and d.ignore_index is None:
            self.notes.append("if it always ignores a label: ignore_index=-100 says which (--ignore-index -100)")
        offer = Offer(dtypes, targets, reductions, outputs, ranks, options)
        asked = asked_words(self.who.name, self.framework, d, offer, self.fixed)
        return TrialFindings(
            adapter,
            dtypes,
            targets,
            (asked, *self.notes),
            start=d.own(start),
            prints=bool(self.printed),
            watched=self.framework == FRAMEWORKS[0],
        )

    def untried(self, reductions: Sequence[str] = REDUCTIONS) -> TrialFindings:
        """Offer everything that the declaration and the signature leave."""
        d = self.declaration
        dtypes, kinds = tuple(d.dtypes or self._dtypes()), tuple(d.targets or OPERATIONS[d.op].targets)
        adapter = self._adapter(dtypes, kinds, d.reductions or reductions, self._outputs(), ranks=d.ranks or ())
        reduction = (d.reductions or reductions)[-1]
        start = ordinary_problem(d.op, dtypes[0], reduction=reduction, probabilities=kinds == ("probability",))
        return TrialFindings(
            adapter, dtypes, kinds, tuple(self.notes), start=d.own(start), watched=self.framework == FRAMEWORKS[0]
        )

    def base(self) -> tuple[Problem, str, tuple[str, ...]]:
        """Find an ordinary call that is answered: the call, or why there is none; and the reductions that are taken."""
        d = self.declaration
        dense = d.targets is not None and "index" not in d.targets
        found = self._base(dense=dense)
        if found[1] and d.targets is None and "probability" in OPERATIONS[d.op].targets:
            other = self._base(dense=True)
            if not other[1]:
                self.kinds = ("probability",)
                self.notes.append(f"not asked: targets that are class indices ({found[1]})")
                return other
        if found[1] and "NoneType" in found[1] and "weight" in self._taken:
            self.notes.append(_A_LAYER)
        return found

    def _base(self, *, dense: bool) -> tuple[Problem, str, tuple[str, ...]]:
        d = self.declaration
        dtype = FLOAT32.name if d.dtypes is None or FLOAT32.name in d.dtypes else d.dtypes[0]

        def make(reduction: str) -> Problem:
            p = ordinary_problem(d.op, dtype, reduction=reduction, probabilities=dense)
            rank = 2 if d.ranks is None or 2 in d.ranks else 3 if 3 in d.ranks else d.ranks[0]
            return p if rank == 2 or dense else of_rank(p, rank, self.fixed.get("axis", -1))

        if d.ranks is not None and not {1, 2} & set(d.ranks) and "axis" not in self._taken:
            # No call of two axes is there to start from, and which axis has the classes is to be found out first.
            for axis in (1, -1):
                self.fixed["axis"] = axis
                if not self._raised(make((d.reductions or ("mean",))[0])):
                    break
        if not OPERATIONS[d.op].targets:
            return make("mean"), self._why(make("mean")), REDUCTIONS
        given = tuple(d.reductions or REDUCTIONS)
        if "reduction" not in self._taken:
            return self._only_reduction(make, given, chosen=d.reductions is not None)
        tried = {reduction: self._why(make(reduction)) for reduction in given}
        taken = tuple(reduction for reduction, why in tried.items() if not why)
        if not taken:
            return make(given[0]), next(iter(tried.values())), given
        if d.reductions is None:
            self.notes += [f"not asked: reduction {r} ({why})" for r, why in tried.items() if why]
            return make(taken[0]), "", taken
        return make(taken[0]), "", given

    def _only_reduction(
        self, make: Callable[[str], Problem], given: Sequence[str], *, chosen: bool
    ) -> tuple[Problem, str, tuple[str, ...]]:
        """Find the one reduction that a function has which takes no argument for it, by the shape of its result."""
        if chosen and len(given) > 1:
            raise UsageError(
                f"{self.who.name} takes no reduction, and reductions names {len(given)}; expected the one that it has"
            )
        if chosen:
            self.fixed["reduction"] = given[0]
            return make(given[0]), self._why(make(given[0])), tuple(given)
        for reduction in ("none", "mean"):
            self.fixed["reduction"] = reduction
            if not self._why(make(reduction)):
                break
        else:
            return make("mean"), self._why(make("mean")), ("mean",)
        if reduction == "mean" and not make("mean").has_probability_target:
            one, two = (self._number(p) for p in (first_row(make("mean")), alike_rows(make("mean"))))
            reduction = "sum" if abs(two - 2 * one) < abs(two - one) else "mean"
            self.fixed["reduction"] = reduction
        self.notes.append(f"its only reduction is {reduction}: it takes no argument for one")
        return make(reduction), "", (reduction,)

    def _number(self, p: Problem) -> float:
        outcome = self._ask(p)
        return float(outcome.outputs["value"].data.reshape(-1)[0]) if "value" in outcome.outputs else np.nan

    def _options(self, start: Problem) -> frozenset[str]:
        """Of a function that takes any keyword, the options that it does not refuse."""
        taken = self._taken
        if not self.names.anything or self.declaration.options is not None:
            return taken
        for option, asked in options_in_use(start).items():
            why = self._why(asked) if option in taken else ""
            if "TypeError" in why:
                taken -= {option}
                self.notes.append(f"not asked: {option} ({why})")
        return taken

    def _ranks(self, start: Problem) -> tuple[int, ...]:
        """Find which inputs a function takes that is not told the class axis, and which axis that is."""
        d = self.declaration
        if d.ranks is not None:
            self._find_axis(start, [rank for rank in d.ranks if rank > 2])
            return tuple(d.ranks)
        if "axis" in self._taken:
            return ()
        more = self._find_axis(start, [3])
        flat = self._why(of_rank(start, 1, -1))
        if not more:
            self.notes.append("not asked: inputs of more than two axes (it takes no axis, and refuses three)")
        if flat:
            self.notes.append(f"not asked: inputs of one axis ({flat})")
        if more and not flat:
            return ()
        return (*(() if flat else (1,)), 2, *((3, 4, 5) if more else ()))

    def _find_axis(self, start: Problem, ranks: Sequence[int]) -> bool:
        if "axis" in self._taken or not ranks:
            return True
        for axis in (-1, 1):
            self.fixed["axis"] = axis
            if not self._why(of_rank(start, 3, axis)):
                if axis != -1:
                    self.notes.append("its class axis is the second one: it takes no argument for it")
                return True
        del self.fixed["axis"]
        return False

    def _of_dtypes(self, start: Problem) -> tuple[str, ...]:
        d = self.declaration
        if d.dtypes is not None:
            return tuple(d.dtypes)
        found = []
        for dtype in self._dtypes():
            p = replace(start, dtype=dtype, x=FORMATS[dtype].round(start.x))
            why = self._raised(p) if self.framework != "numpy" else ""
            if why:
                self.notes.append(f"not asked: {dtype} ({why})")
            else:
                found.append(dtype)
        return tuple(found) or (start.dtype,)

    def _dtypes(self) -> tuple[str, ...]:
        if self.framework == "numpy":
            return NUMPY_DTYPES
        without = "" if self.framework != "jax" or has_x64() else FLOAT64.name
        note = f"not asked: {without} (jax_enable_x64 is off; labels are then int32)"
        if without and note not in self.notes:
            self.notes.append(note)
        return tuple(dtype for dtype in DTYPES if dtype != without)

    def _of_targets(self, start: Problem) -> tuple[str, ...]:
        d, kinds = self.declaration, OPERATIONS[self.declaration.op].targets
        if d.targets is not None or len(kinds) < 2 or self.kinds:
            return tuple(d.targets or self.kinds or kinds or TARGET_KINDS)
        dense = ordinary_problem(d.op, start.dtype, reduction=start.reduction, probabilities=True)
        why = self._raised(dense)
        if why:
            self.notes.append(f"not asked: targets that are probabilities ({why})")
        return ("index",) if why else TARGET_KINDS

    def _outputs(self) -> tuple[str, ...]:
        """The outputs that may be on offer."""
        d = self.declaration
        automatic = d.autodiff and self.framework != "numpy"
        found = [name for name in d.known if name == "value" or automatic or (TABLE[name].repeats or name) in d.given]
        return tuple(name for name in found if d.outputs is None or name in d.outputs)

    def _of_outputs(self, start: Problem, kinds: Sequence[str]) -> tuple[str, ...]:
        """Find which derivatives a function's own rules and the framework give."""
        d = self.declaration
        dense = "probability" in kinds
        may = tuple(n for n in self._outputs() if d.op in TABLE[n].formulas and dense >= TABLE[n].of_probabilities)
        if d.outputs is None and self.framework == "numpy" and "vjp" not in may:
            self.notes.append("not asked: gradient (NumPy has none; grad= is the function that computes it, --grad)")
        if d.outputs is not None or self.framework == "numpy" or not d.autodiff:
            return may
        x = FORMATS[start.dtype].round(start.x)
        several = [with_directions(replace(start, x=x))]
        if "probability" in kinds and d.op == "cross_entropy":
            several.append(
                with_directions(ordinary_problem(d.op, start.dtype, reduction=start.reduction, probabilities=True))
            )
        refusals: dict[str, str] = {}
        for p in several:
            outcome = self._ask(p, outputs=may)
            for name in (n for n in p.want if n in _OPTIONAL and n in may and n not in d.given):
                refusals[name] = short(refused(outcome, name))
                if TABLE[name].order == 2 and not refusals[name] and self._second_differs(p, name):
                    refusals[name] = _NOT_ITS_DERIVATIVE
        self.notes += [f"not asked: {TABLE[name].words} ({why})" for name, why in refusals.items() if why]
        return tuple(name for name in may if not refusals.get(name))

    def _second_differs(self, p: Problem, name: str) -> bool:
        return second_differs(lambda q: self._ask(q, outputs=tuple(TABLE)), p, name)

    def _raised(self, p: Problem) -> str:
        """Why a call is refused; another result than expected is no refusal."""
        outcome = self._ask(p).of("value")
        return "" if outcome.error is None or outcome.message.startswith("WrongResult") else short(outcome.message)

    def _why(self, p: Problem) -> str:
        """Why there is no usable value; an empty text if there is one."""
        if self.hangs:
            return self.hangs
        outcome = self._ask(p)
        if outcome.error == "unsupported":
            return ""
        if HANGS in outcome.message:
            self.hangs = outcome.message
        why = refused(outcome)
        if why:
            return short(why)
        shape = outcome.outputs["value"].data.shape
        return "" if shape == p.shape_of("value") else f"value has shape {shape}, expected {p.shape_of('value')}"

    def _ask(self, p: Problem, outputs: Sequence[str] = ("value",)) -> Outcome:
        whole = self._adapter(DTYPES, TARGET_KINDS, REDUCTIONS, tuple(outputs))
        adapter = GuardedFunction(whole, self.declaration.timeout)
        trial = trial_of(adapter, self.declaration.device)
        with np.errstate(all="ignore"):
            outcome = trial(self.declaration.own(p))
        self.printed += trial.printed
        return outcome

    def _adapter(
        self,
        dtypes: Sequence[str],
        kinds: Sequence[str],
        reductions: Sequence[str],
        outputs: Sequence[str],
        *,
        ranks: Sequence[int] = (),
        options: frozenset[str] | None = None,
    ) -> FunctionAsAdapter:
        offer = Offer(dtypes, kinds, reductions, outputs, ranks, self._taken if options is None else options)
        return adapter_of(self.who, self.declaration, self.names, self.framework, offer, self.fixed)

    @property
    def _taken(self) -> frozenset[str]:
        return self.declaration.taken(self.names.options)
