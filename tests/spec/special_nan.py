"""Specification, section 4: conventions, precedence, and clauses 1 to 3 (NaN and masked classes)."""

from __future__ import annotations

from dataclasses import replace

from lossproof.adapters.protocol import Problem
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.running.convention_ledger import Ledger

from .clause import EVEN, INF, LN2, MASKED, NAN, PLAIN, Clause, Example, error, example, log_softmax, loss, nll, softmax

LIMIT = "clause softmax: limit at +inf"


def _either(*rows: list[float]) -> tuple[dict[str, list[list[float]]], ...]:
    return tuple({"value": [row]} for row in rows)


def _infinite(p: Problem) -> Example:
    """One +inf in a family of special values, so that the convention is compared."""
    return example(p, *_either([0, 1], [NAN, NAN]), family="positive_infinity")


def _keyed() -> None:
    """A ledger keeps clause, op and output apart, and compares where they agree."""
    ledger = Ledger("any")
    for op, output, clause, dtype, shown in (
        ("softmax", "value", "4", "float32", "nan"),
        ("softmax", "vjp", "4", "float32", "limit"),
        ("log_softmax", "value", "4", "float16", "limit"),
        ("cross_entropy", "value", "6", "float32", "limit"),
    ):
        call = Call(replace(softmax([[0, INF]]), op=op, dtype=dtype), "positive_infinity")
        ledger.add(call, Observation(call.id, output, "any", "convention", conventions={clause: shown}))
    assert {o.verdict for o in ledger.verdicts()} == {"pass"}
    call = Call(replace(softmax([[0, INF]]), dtype="float16"), "positive_infinity")
    ledger.add(call, Observation(call.id, "value", "any", "convention", conventions={"4": "limit"}))
    assert [o.id for o in ledger.verdicts() if o.verdict == "fail"] == ["softmax/all/convention/clause-4/value"]


PREAMBLE = (
    Clause(
        "4.0-keyed",
        "A convention is keyed by (clause, op, output).",
        (_infinite(softmax([[0, INF]])),),
        (LIMIT,),
        across="mode",
        shows=_keyed,
    ),
    Clause(
        "4.0-device",
        "An implementation that shows different conventions across device,",
        (_infinite(softmax([[0, INF]])),),
        (LIMIT,),
        across="device",
    ),
    Clause(
        "4.0-mode",
        "An implementation that shows different conventions across device, mode",
        (_infinite(softmax([[0, INF]])),),
        (LIMIT,),
        across="mode",
    ),
    Clause(
        "4.0-dtype",
        "An implementation that shows different conventions across device, mode ... or dtype **fails**,",
        (_infinite(softmax([[0, INF]])),),
        ("clause softmax: limit at +inf in float16 only",),
        also=("4.0-keyed", "4.0-device", "4.0-mode"),
        because="their call is the same",
    ),
    Clause(
        "4.0-exempt",
        "except in clauses 7, 9, 12 and for error-versus-NaN in 13, where it is recorded and listed as a finding.",
        (error("13-k", "bad_label", {"value": [NAN, PLAIN[1]]}),),
        ("upstream cross_entropy: unknown label gives NaN",),
        spared=True,
        across="mode",
        records={"13": "nan"},
    ),
    Clause(
        "4.0-precedence",
        "Where clauses meet, precedence is 13, 11, 1, 4, 3, 10, 6, 5, 2, 8.",
        (
            # 1 over 4, 4 over 2, 11 over 1 and 4, 13 over 11 and 1, 3 over 8, 5 over 2, 1 over 5.
            example(log_softmax([[NAN, INF]]), *_either([NAN, NAN]), refuses=_either([-INF, 0])),
            example(softmax([[INF, -INF]]), *_either([1, 0], [NAN, NAN]), refuses=_either([1, 0.5])),
            example(loss([[NAN, INF], EVEN], [9, 0], "sum", ignore=9), {"value": LN2}, refuses=({"value": NAN},)),
            example(softmax([[-INF]]), *_either([NAN]), refuses=_either([1])),
            example(loss([MASKED], [1]), {"value": [INF]}, refuses=({"value": [LN2]},)),
            example(loss([[NAN, -INF]], [1]), {"value": [NAN]}, refuses=({"value": [INF]},)),
        ),
        ("clause log_softmax: +inf before NaN",),
    ),
    Clause(
        "4.0-weightless-nan",
        "So a mean whose kept labels all weigh 0 is NaN, and nothing else, where a kept row holds NaN, and so is the "
        "gradient of that row.",
        (
            example(
                loss([[-3.5, 1], [NAN, 1]], [0, 0], "mean", w=[0, 1], g=1.0),
                *({"value": NAN, "vjp": [[a, a], [NAN, NAN]]} for a in (0, NAN, INF, -INF)),
                refuses=(
                    *({"value": a, "vjp": [[0, 0], [NAN, NAN]]} for a in (0, INF, -INF)),
                    *({"value": NAN, "vjp": [[0, 0], [a, a]]} for a in (0, INF, -INF)),
                ),
            ),
        ),
        ("clause cross_entropy: 0 for a weightless mean that holds NaN",),
    ),
)

NANS = (
    Clause(
        "4.1-p",
        "Any NaN logit in a row that is not ignored makes p,",
        (example(softmax([[NAN, 0]]), *_either([NAN, NAN]), refuses=_either([NAN, 1], [0, 1])),),
        ("upstream softmax: NaN dropped",),
    ),
    Clause(
        "4.1-log-p",
        "Any NaN logit in a row that is not ignored makes p, ... log p,",
        (example(log_softmax([[NAN, 0]]), *_either([NAN, NAN]), refuses=_either([NAN, 0])),),
        ("upstream log_softmax: NaN taken for a masked class",),
    ),
    Clause(
        "4.1-loss",
        "Any NaN logit in a row that is not ignored makes p, ... its loss,",
        (example(loss([[NAN, 0], EVEN], [1, 0]), {"value": [NAN, LN2]}, refuses=({"value": [0, LN2]},)),),
        ("clause cross_entropy: NaN of other classes does not reach the loss",),
    ),
    Clause(
        "4.1-gradient",
        "Any NaN logit in a row that is not ignored makes p, ... its logit-gradient row",
        (example(loss([[NAN, 0]], [0], g=[1]), {"vjp": [[NAN, NAN]]}, refuses=({"vjp": [[0, 0]]},)),),
        ("clause cross_entropy: gradient 0 of NaN rows without reduction",),
    ),
    Clause(
        "4.1-reduced",
        "Any NaN logit in a row that is not ignored makes p, ... and sum/mean NaN;",
        tuple(
            example(loss([[NAN, 0], EVEN], [0, 0], reduction), {"value": NAN}, refuses=({"value": LN2},))
            for reduction in ("sum", "mean")
        ),
        ("clause cross_entropy: NaN losses skipped by sum and mean",),
        also=("4.1-other-rows",),
        because="cross-entropy gives its value as well",
    ),
    Clause(
        "4.1-other-rows",
        "other rows' gradients are unaffected.",
        (
            example(
                loss([[NAN, 0], EVEN], [0, 0], "sum", g=1.0),
                {"vjp": [[NAN, NAN], [-0.5, 0.5]]},
                refuses=({"vjp": [[NAN, NAN], [NAN, NAN]]},),
            ),
        ),
        ("upstream cross_entropy: a NaN row spoils the batch",),
    ),
    Clause(
        "4.1-nll",
        "`nll_loss`: the loss is NaN only if the target entry is;",
        (
            example(nll([[NAN, -1], [-1, NAN]], [1, 1]), {"value": [1, NAN]}, refuses=({"value": [NAN, NAN]},)),
            example(nll([[-1, NAN]], [1], w=[1, 0]), {"value": [NAN]}, refuses=({"value": [0]},)),
        ),
        ("upstream nll_loss: nll: NaN anywhere in the row", "upstream nll_loss: nll: a weight of 0 hides NaN"),
    ),
    Clause(
        "4.1-nll-gradient",
        "gradient as in section 3.",
        (example(nll([[NAN, -1]], [0], g=[2]), {"vjp": [[-2, 0]]}, refuses=({"vjp": [[NAN, 0]]},)),),
        ("clause nll_loss: nll: gradient NaN at a NaN",),
    ),
)

MASKS = (
    Clause(
        "4.2-p",
        "No NaN or +inf, some `x_j = -inf`, some finite: `p_j` exactly 0,",
        (example(softmax([[0, 0, -INF]]), *_either([0.5, 0.5, 0]), refuses=_either([0.5, 0.5, 2.0**-24])),),
        ("clause softmax: masked classes keep 2^-24",),
        also=("3-softmax-vjp", "3-softmax-jvp", "4.2-absent"),
        because="their calls hold masked classes, of which softmax gives the value as well",
    ),
    Clause(
        "4.2-log-p",
        "No NaN or +inf, ... `log p_j` exactly `-inf`;",
        (example(log_softmax([[0, -INF]]), *_either([0, -INF]), refuses=_either([0, -1e4])),),
        ("clause log_softmax: log p of masked classes is -65504",),
        also=("3-log_softmax-vjp", "3-log_softmax-jvp"),
        because="their calls hold masked classes, of which log-softmax gives the value as well",
    ),
    Clause(
        "4.2-absent",
        "the other p and log p as if class `j` were absent",
        (example(softmax([[-INF, 0, 0]]), *_either([0, 0.5, 0.5]), refuses=_either([0, 1 / 3, 1 / 3])),),
        ("clause softmax: a masked first class counts",),
    ),
    Clause(
        "4.2-unchanged-K",
        "the other p and log p as if class `j` were absent (K unchanged);",
        (
            example(
                loss([[0, -INF, 0]], [0], g=[1], eps=0.75),
                {"vjp": [[0, -0.25, 0.25]]},
                refuses=({"vjp": [[-0.125, 0, 0.125]]},),
            ),
        ),
        ("clause cross_entropy: uniform part over finite classes in the gradient",),
    ),
    Clause(
        "4.2-gradient",
        "logit gradients finite, by section 3 with `p_j = 0`;",
        (
            example(
                loss([[0, 0, -INF]], [0], "mean", g=1.0),
                {"vjp": [[-0.5, 0.5, 0]]},
                refuses=({"vjp": [[-0.5, 0.5, NAN]]}, {"vjp": [[-0.5, 0.5, 0.5]]}),
            ),
        ),
        ("clause cross_entropy: gradient NaN at masked classes beside the label",),
    ),
)

EMPTY_ROWS = (
    Clause(
        "4.3-every-entry",
        "3. **must** All `-inf` ... NaN in every entry.",
        (
            example(softmax([[-INF, -INF]]), *_either([NAN, NAN]), refuses=_either([0, 0], [0.5, 0.5])),
            example(log_softmax([[-INF, -INF]]), *_either([NAN, NAN]), refuses=_either([-INF, -INF])),
        ),
        ("upstream softmax: all -inf row uniform", "upstream log_softmax: all -inf row -inf"),
        also=("4.0-precedence", "4.3-gradient", "4.3-one-class"),
        because="their calls hold such a row",
    ),
    Clause(
        "4.3-gradient",
        "3. **must** All `-inf` ... NaN in every entry.",
        (
            example(
                softmax([[-INF, -INF]], [[1, 2]]),
                {"value": [[NAN, NAN]], "vjp": [[NAN, NAN]]},
                refuses=({"vjp": [[0, 0]]},),
            ),
        ),
        ("upstream softmax: gradient of an all -inf row 0",),
    ),
    Clause(
        "4.3-loss",
        "3. **must** All `-inf` ... NaN in every entry.",
        (example(loss([[-INF, -INF]], [0]), {"value": [NAN]}, refuses=({"value": [INF]}, {"value": [LN2]})),),
        ("clause cross_entropy: loss +inf for a row without a class",),
    ),
    Clause(
        "4.3-one-class",
        "(K=1 included):",
        (example(softmax([[-INF]]), *_either([NAN]), refuses=_either([1], [0])),),
        ("clause softmax: one class is certain",),
        also=("4.0-precedence",),
        because="clause 3 over clause 8 is the same row",
    ),
)

CLAUSES = (*PREAMBLE, *NANS, *MASKS, *EMPTY_ROWS)
