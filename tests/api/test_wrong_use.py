"""Wrong use of ``check_implementation``: each kind gets one clear line, never a traceback of ours."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from lossproof import Report, UsageError, check_implementation

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")


def softmax(x: Array, axis: int = -1) -> Array:
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return np.asarray(e / e.sum(axis=axis, keepdims=True))


def loss(x: Array, target: Array) -> Array:
    with np.errstate(all="ignore"):
        x = x - x.max(axis=-1, keepdims=True)
        rows = np.log(np.exp(x).sum(axis=-1)) - np.take_along_axis(x, target[..., None], -1)[..., 0]
        return rows.astype(x.dtype)


def checked(function: Any, op: str = "softmax", **given: Any) -> Report:
    arguments: dict[str, Any] = {"dtypes": ["float32"], "deck": "smoke", "errors": False, "cache": False} | given
    return check_implementation(function, op=op, **arguments)


class Callable_:  # noqa: N801 (a class that is called)
    def __call__(self, x: Array, axis: int = -1) -> Array:
        return softmax(x, axis)


async def asynchronous(x: Array) -> Array:
    await asyncio.sleep(0)
    return x


def generator(x: Array) -> Any:
    yield x


def hungry(x: Array, temperature: float) -> Array:
    return softmax(x / temperature)


def nothing() -> None: ...


def of_two(x: Array, y: Array, z: Array) -> Array:
    return x + y + z


# What is no function that could be asked: an error of the user's, before anything is judged.
REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("a class", Callable_, {}, "Callable_ is a class, not a function; expected an instance, Callable_(...)"),
    ("a number", 3, {}, "expected a function, a module or a loss; got int 3"),
    ("nothing", None, {}, "expected a function, a module or a loss; got NoneType None"),
    ("a text", "softmax", {}, "got str 'softmax'"),
    ("asynchronous", asynchronous, {}, "asynchronous is asynchronous; expected a function that returns its result"),
    ("a generator", generator, {}, "generator is a generator; expected a function that returns its result"),
    ("no arguments", nothing, {}, "nothing takes no arguments; softmax needs arguments for logits"),
    ("one too many", hungry, {}, "hungry needs temperature, which softmax has no value for; fix it with functools"),
    ("three arrays", of_two, {"op": "cross_entropy"}, "of_two needs z, which cross_entropy has no value for"),
    ("no target", lambda x: x, {"op": "cross_entropy"}, "needs arguments for logits and a target"),
    ("names of nothing", softmax, {"names": {"axis": "dim"}}, "axis is 'dim', which softmax does not take"),
    ("a name unknown", softmax, {"names": {"temperature": "t"}}, "unknown argument in names 'temperature'"),
    ("a framework unknown", softmax, {"framework": "theano"}, "unknown framework 'theano'"),
    ("an op unknown", softmax, {"op": "softmin"}, "unknown op 'softmin'"),
    ("a dtype unknown", softmax, {"dtypes": ["float8"]}, "unknown dtype 'float8'"),
    ("no dtype", softmax, {"dtypes": []}, "dtypes is empty"),
    ("an output unknown", softmax, {"outputs": ["hessian"]}, "unknown output 'hessian'"),
    ("no value", softmax, {"outputs": ["vjp"]}, "outputs leaves the value out"),
    ("a layout unknown", softmax, {"layouts": ["blocked"]}, "unknown layout 'blocked'"),
    ("labels unknown", loss, {"op": "cross_entropy", "labels": ["int4"]}, "unknown dtype of labels 'int4'"),
    ("a reduction unknown", loss, {"op": "cross_entropy", "reductions": ["avg"]}, "unknown reduction 'avg'"),
    (
        "two reductions",
        loss,
        {"op": "cross_entropy", "reductions": ["mean", "sum"]},
        "loss takes no reduction, and reductions names 2",
    ),
    ("no classes", softmax, {"max_classes": 0}, "max_classes is 0"),
    ("no time", softmax, {"timeout": 0}, "timeout is 0"),
    ("a dtype of results unknown", softmax, {"result_dtype": "float8"}, "unknown dtype of the result 'float8'"),
    ("a lambda apart", lambda x: x, {"isolate": True}, "this is a lambda: define it at the top of a file"),
    ("a partial apart", partial(softmax, axis=-1), {"isolate": True}, "this is no name of a module"),
    ("an op of another", softmax, {"op": "nll_loss"}, "needs arguments for logits and a target"),
]


@pytest.mark.parametrize(("function", "given", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_asked_is_one_line(function: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(function, **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def raises(x: Array) -> Array:
    raise RuntimeError("no kernel for this device")


def at_length(x: Array) -> Array:
    raise ValueError("expected one thing,\n  got another\n")


def exits(x: Array) -> Array:
    sys.exit(3)


def hangs(x: Array) -> Array:
    while True:
        time.sleep(0.01)


def writes(x: Array) -> Array:
    found = softmax(x)
    x[...] = 0
    return found


def deep(x: Array) -> Array:
    return deep(x)


divides = lambda x: softmax(x) + 1 // 0  # noqa: E731 (a lambda on a line of its own)


def coroutine(x: Array) -> Any:
    return asynchronous(x)


def drawn(x: Array, _count: Iterator[int] = itertools.count()) -> Array:  # noqa: B008 (a state that is kept)
    return np.asarray(softmax(x) * x.dtype.type(1 + next(_count) % 3 / 1024))


# What answers, but not with a result: a report that fails, in one line.
ANSWERS: list[tuple[str, Callable[..., Any], str]] = [
    ("None", lambda x: None, "returns None, not an array"),
    ("a tuple", lambda x: (softmax(x), x), "returns a tuple of 2 (ndarray, ndarray), not an array"),
    ("a dict", lambda x: {"loss": softmax(x)}, "returns a dict of 'loss', not an array"),
    ("a list", lambda x: softmax(x).tolist(), "value is not an array of dtype float32, but a list"),
    ("a number", lambda x: 0.5, "value has shape (), expected (2, 4)"),
    ("a scalar", lambda x: softmax(x).sum(), "value has shape (), expected (2, 4)"),
    ("an axis too many", lambda x: softmax(x)[None], "value has shape (1, 2, 4), expected (2, 4)"),
    ("wider", lambda x: softmax(x).astype(np.float64), "value has dtype float64, expected float32"),
    ("narrower", lambda x: softmax(x).astype(np.float16), "value has dtype float16, expected float32"),
    ("masked", lambda x: np.ma.masked_array(softmax(x)), "but a MaskedArray"),
    ("transposed", lambda x: softmax(x).T, "value has shape (4, 2), expected (2, 4)"),
    ("flattened", lambda x: softmax(x).ravel(), "value has shape (8,), expected (2, 4)"),
    ("a part", lambda x: softmax(x)[:1], "value has shape (1, 4), expected (2, 4)"),
    ("complex", lambda x: softmax(x).astype(complex), "value has dtype complex128, expected float32"),
    ("integers", lambda x: (9 * softmax(x)).astype(int), "value has dtype int64, expected float32"),
    ("truth values", lambda x: softmax(x) > 0.5, "value has dtype bool, expected float32"),
    ("objects", lambda x: softmax(x).astype(object), "value has dtype object, expected float32"),
    ("texts", lambda x: softmax(x).astype("S9"), "value has dtype bytes72, expected float32"),
    ("a text", lambda x: "0.5", "returns a str, not an array"),
    ("an exception", lambda x: ValueError("no"), "returns a ValueError, not an array"),
    ("a function", lambda x: softmax, "returns a function, not an array"),
    ("a generator", lambda x: (row for row in softmax(x)), "returns a generator, not an array"),
    ("a coroutine", coroutine, "returns a coroutine, not an array"),
    ("its input", lambda x: x[:], "what is returned is the input itself"),
    ("another each time", drawn, "the same call has another result when it is asked again"),
    ("endless recursion", deep, "RecursionError: maximum recursion depth exceeded"),
    ("a lambda raises", divides, "ZeroDivisionError: "),
    ("raises", raises, "RuntimeError: no kernel for this device"),
    ("raises at length", at_length, "ValueError: expected one thing, got another (at test_wrong_use.py"),
    ("exits", exits, "SystemExit: 3"),
    ("hangs", hangs, "hangs gives no answer within 0.2 s"),
    ("writes", writes, "writes modified its input x"),
]


@pytest.mark.parametrize(("function", "words"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_an_answer_that_is_no_result_is_said_in_a_line(function: Callable[..., Any], words: str) -> None:
    # Only what hangs has to be waited for.
    report = checked(function, timeout=0.2 if function is hangs else 60.0, ranks=(2,))
    assert not report.ok
    # Of wrong numbers the explanation says what they are, of all else the message.
    assert any(words in text for text in (report.failures[0].message, report.diagnosis.partition("\n")[0]))
    assert "\n" not in report.failures[0].message
    # In the diagnosis, at the end of the caller's frames there, and in the list.
    assert sum(words in line for line in str(report).splitlines()) <= 3


# The same of a function on tensors of a framework.
OF_TENSORS: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("another device", lambda torch, p: p.to("meta"), "a result is on meta; the inputs were placed on cpu"),
    ("without a gradient", lambda torch, p: p.detach(), "it is cut off from the logits (detach, no_grad"),
    ("without a graph", lambda torch, p: torch.tensor(p.tolist()), "it is cut off from the logits (detach, no_grad"),
    ("a number", lambda torch, p: p.sum().item(), "returns a float, not a tensor of torch"),
    ("an array", lambda torch, p: p.detach().numpy(), "returns a ndarray, not a tensor of torch"),
    ("a list", lambda torch, p: list(p), "returns a list of 2 (Tensor, Tensor), not a tensor of torch"),
    ("a scalar", lambda torch, p: p.sum(), "value has shape (), expected (2, 4)"),
    ("wider", lambda torch, p: p.double(), "value has dtype float64, expected float32"),
    ("complex", lambda torch, p: p + 0j, "value has dtype torch.complex64, expected float32"),
    ("sparse", lambda torch, p: p.to_sparse(), "can't convert Sparse layout tensor to numpy"),
    ("None", lambda torch, p: None, "returns None, not a tensor of torch"),
]


@pytest.mark.of("torch")
@pytest.mark.parametrize(("result", "words"), [row[1:] for row in OF_TENSORS], ids=[row[0] for row in OF_TENSORS])
def test_a_tensor_that_is_no_result_is_said_in_a_line(result: Callable[[Any, Any], Any], words: str) -> None:
    torch = pytest.importorskip("torch")
    report = checked(lambda x: result(torch, torch.softmax(x, -1)), framework="torch", ranks=(2,))
    assert not report.ok
    assert words in report.failures[0].message
    assert "\n" not in report.failures[0].message


def test_there_are_many_kinds() -> None:
    # What ends its process, blocks it or eats the memory is in test_isolation.py.
    assert len(REFUSED) + len(ANSWERS) + len(OF_TENSORS) >= 65


def test_an_exception_has_the_caller_s_own_frames_alone() -> None:
    text = checked(raises).diagnosis
    assert "in your own code:" in text
    assert "in raises\n" in text
    assert text.count("File ") == 1


def test_what_a_function_prints_is_noticed_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def loud(x: Array, axis: int) -> Array:
        print("debugging")
        return softmax(x, axis)

    report = checked(loud)
    assert report.ok
    assert "it prints ('debugging')" in "\n".join(report.asked)
    assert "debugging" not in capsys.readouterr().out


def test_one_of_several_results_is_picked() -> None:
    def several(x: Array, axis: int) -> tuple[float, Array]:
        return 1.0, softmax(x, axis)

    assert checked(several, pick=1).ok
    assert checked(several, pick=lambda results: results[1]).ok
    assert checked(lambda x, axis: {"p": softmax(x, axis)}, pick="p").ok
    wrong = checked(several, pick=2)
    assert "pick=2 says which result of several is judged, but it returns 2 results" in wrong.failures[0].message


def test_the_signature_is_read_and_said() -> None:
    report = checked(loss, "cross_entropy")
    assert report.judged
    asked = "\n".join(report.asked)
    assert "asked of loss: numpy arrays; float32" in asked
    assert "its only reduction is none: it takes no argument for one" in asked
    assert "Not asked: ignore_index, label_smoothing, weight (it has no argument for it)" in asked
    assert "not asked: targets that are probabilities (IndexError" in asked


@pytest.mark.parametrize(
    ("wrap", "only"),
    [(lambda rows: rows, "none"), (lambda rows: rows.sum(), "sum"), (lambda rows: rows.mean(), "mean")],
    ids=["none", "sum", "mean"],
)
def test_the_only_reduction_is_found_by_its_results(wrap: Callable[[Array], Any], only: str) -> None:
    report = checked(lambda logits, y: np.asarray(wrap(loss(logits, y))), "cross_entropy", targets=["index"])
    assert f"its only reduction is {only}: it takes no argument for one" in report.asked
