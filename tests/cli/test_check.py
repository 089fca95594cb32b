"""``lossproof check``: a function of a file, judged from the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from lossproof.cli.interface_functions import check
from lossproof.core.errors import UsageError
from lossproof.functions.declaration import Declaration
from lossproof.functions.found_function import op_of
from tests.support.thinned import nightly
from tests.support.views import lossproof

FILE = """
import numpy as np

LOSS = 3


def softmax(x, *, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_grad(x, cotangent, *, axis):
    p = softmax(x, axis=axis)
    return p * (cotangent - (p * cotangent).sum(axis=axis, keepdims=True))


def naive(scores, axis=-1):
    e = np.exp(scores)
    return {"p": e / e.sum(axis=axis, keepdims=True)}


def broken_softmax(x):
    raise RuntimeError("not today")


def crashing_softmax(x, axis=-1):
    import os

    if x.shape[axis] > 3:
        os.abort()
    return softmax(x, axis=axis)


def endless_softmax(x, axis=-1):
    while x.shape[axis] > 3:
        pass
    return softmax(x, axis=axis)
"""
WRONG_AT_RANK_FOUR = """
from my_functions import softmax


def off_softmax(x, axis=-1):
    return softmax(x, axis=axis) * x.dtype.type(1.01 if x.ndim == 4 else 1.0)
"""
OBJECT = """
import numpy as np


class Softmax:
    def __call__(self, x, axis=-1):
        e = np.exp(x + 0.5 * (x > 0) - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


mine = Softmax()
"""
SMALL = ("--deck", "smoke", "--dtype", "float32")
# Where a function answers makes no difference to what is printed.
HERE = (*SMALL, "--in-process")
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_functions.py").write_text(FILE)
    (tmp_path / "my_object.py").write_text(OBJECT)
    (tmp_path / "rank_four.py").write_text(WRONG_AT_RANK_FOUR)
    (tmp_path / "half_done.py").write_text("import math\n\nmath.nothing\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_right_function_is_ok_and_what_is_asked_is_said() -> None:
    """And in the process of the command it is judged as apart."""
    function = ("my_functions.py:softmax", "--grad", "softmax_grad", *SMALL)
    last = set()
    for result in (lossproof("check", *function), lossproof("check", *function, "--in-process")):
        assert result.exit_code == 0, result.output
        assert "asked of softmax: numpy arrays; float32; value, gradient; with axis" in result.stdout
        assert "OK (softmax: " in result.stdout
        last.add(result.stdout.splitlines()[-1])
    assert len(last) == 1


def test_a_wrong_one_is_a_finding() -> None:
    options = ("--op", "softmax", "--name", "x=scores", "--pick", "p", *HERE)
    result = lossproof("check", "my_functions.py:naive", *options)
    assert result.exit_code == 1, result.output
    assert "softmax(float32 dominating" in result.stdout
    # What is printed for the reader to run can be run: no target has the function's name.
    line = next(line for line in result.stdout.splitlines() if line.startswith("    lossproof explain softmax/"))
    shown = lossproof(*line.split()[1:])
    assert shown.exit_code == 0, shown.output
    assert "exact" in shown.stdout
    quiet = lossproof("check", "my_functions.py:broken_softmax", "--quiet", *HERE)
    assert quiet.exit_code == 1
    assert "RuntimeError: not today" in quiet.stdout
    # The call that a function is tried with is in no deck, where it could be looked up.
    assert "/n2-k4/46d61727: --record FILE keeps it" in quiet.stdout
    assert "    lossproof explain" not in quiet.stdout


def test_a_function_is_explained_as_a_target_is() -> None:
    id = "softmax/float32/hot/n2-k4/0dffc6cf"
    shown = lossproof("explain", id, "--deck", "smoke", "--target", "my_functions.py:broken_softmax")
    assert shown.exit_code == 0, shown.output
    assert "RuntimeError: not today" in shown.stdout
    assert "fail" in shown.stdout
    right = lossproof("explain", id, "--deck", "smoke", "--target", "my_functions.py:softmax")
    assert "softmax: pass, " in right.stdout
    assert "x the bound" in right.stdout
    # A reproducer would need the function.
    refused = lossproof("repro", id, "--deck", "smoke", "--target", "my_functions.py:softmax")
    assert refused.exit_code == 2
    assert "lossproof explain prints" in refused.stderr
    # A run judges adapters.
    refused = lossproof("run", "my_functions.py:softmax", "--deck", "smoke", "--in-process")
    assert refused.exit_code == 2
    assert "is not an adapter; expected the members of adapters.protocol.Adapter; lossproof check" in refused.stderr


def test_what_the_deck_does_not_show_is_explored(folder: Path) -> None:
    options = ("--no-errors", *HERE)
    blind = lossproof("check", "rank_four.py:off_softmax", *options)
    # sanity check: the deck does not show it
    assert blind.exit_code == 0, blind.output
    assert "left out: calls of any shape and option (explore=1000 draws a thousand)" in blind.stdout
    result = lossproof("check", "rank_four.py:off_softmax", "--explore", "100", "--record", "r.jsonl", *options)
    assert result.exit_code == 1, result.output
    assert "left out: calls of any shape" not in result.stdout
    drawn = int(result.stdout.splitlines()[-1].removeprefix("explored ").removesuffix(" calls"))
    assert 0 < drawn <= 130
    line = next(line for line in result.stdout.splitlines() if line.startswith("    lossproof explain softmax/"))
    assert "/s1x1x1x1/" in line, "shrunk"
    # The record has the call with it.
    shown = lossproof("explain", line.split()[2], "--record", str(folder / "r.jsonl"))
    assert shown.exit_code == 0, shown.output
    right = lossproof("check", "my_functions.py:softmax", "--explore", "10", *options)
    assert right.exit_code == 0, right.output
    refused = lossproof("check", "my_functions.py:softmax", "--explore", "-1", *options)
    assert refused.exit_code == 2
    assert "explore is -1; expected a number of calls, or 0 for none" in refused.stderr


@pytest.mark.parametrize(
    ("name", "verdict"), [("crashing", "crash"), pytest.param("endless", "timeout", marks=nightly)]
)
def test_what_ends_a_process_costs_a_call(name: str, verdict: str, folder: Path) -> None:
    options = ("--rank", "2", "--timeout", "1", "--no-errors", "--json", "--record", "r.jsonl", *SMALL)
    result = lossproof("check", f"my_functions.py:{name}_softmax", *options)
    assert result.exit_code == 1, result.output
    counts = json.loads(result.stdout)
    assert verdict in json.dumps(counts), counts
    assert "pass" in json.dumps(counts), counts


def test_an_object_has_the_op_of_its_class_and_is_imported_by_its_name() -> None:
    result = lossproof("check", "my_object.py:mine", "--framework", "numpy", *SMALL)
    assert result.exit_code == 1, result.output
    assert "asked of mine: numpy arrays" in result.stdout
    assert "LOSSPROOF_" not in result.stdout
    refused = lossproof("check", "my_object.py:Softmax", *SMALL)
    assert refused.exit_code == 2
    assert "is a class, not a function; expected an instance, Softmax(...), or the name of one" in refused.stderr


def test_a_module_will_do_and_the_summary_is_for_programs(folder: Path) -> None:
    result = lossproof("check", "my_functions:softmax", "--json", "--record", "r.jsonl", *HERE)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)
    assert (folder / "r.jsonl").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("my_functions.py",), "is a file; expected my_functions.py:FUNCTION, of softmax, softmax_grad, naive"),
        (("my_functions.py:sofmax",), "my_functions.py has no sofmax; nearest: softmax"),
        (("my_functions.py:LOSS", "--op", "softmax"), "expected a function, a module or a loss; got int 3"),
        (("my_functions.py:naive",), "which op is naive? Say --op softmax, log_softmax, nll_loss or cross_entropy"),
        (("no_such.py:softmax",), "there is no file no_such.py; expected FILE.py:FUNCTION"),
        (("no_such.thing:softmax",), "there is no module no_such.thing"),
        (("half_done.py:softmax",), "half_done.py does not import: AttributeError: module 'math' has no"),
        (("softmax",), "'softmax' names no function; expected FILE.py:FUNCTION or module:FUNCTION"),
        (("my_functions.py:softmax max",), "'softmax max' is no name of a function"),
        (("my_functions.py:softmax", "--name", "x"), "--name is 'x'; expected ARGUMENT=NAME"),
        (("my_functions.py:softmax", "--name", "z=x"), "unknown name in --name 'z'"),
        (("my_functions.py:softmax", "--profile", "float17=W"), "unknown name in --profile 'float17'"),
        (("my_functions.py:softmax", "--dtype", "float31"), "unknown dtype 'float31'; did you mean float32"),
        (("my_functions.py:softmax", "--framework", "mxnet"), "unknown framework 'mxnet'"),
    ],
)
def test_mistakes_are_one_clear_line(arguments: tuple[str, ...], message: str) -> None:
    result = lossproof("check", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output


# Options with other names than the arguments of ``check_implementation`` that they stand for, and arguments for which a
# text on a command line is no good.
ANOTHER_NAME = {
    "autodiff": "no_autodiff",
    "error_profiles": "profiles",
    "full_smoothing": "no_full_smoothing",
    "isolate": "in_process",
    "outputs": "wanted",
    "variant": "z_loss",
}
NO_OPTION = {"name"}


def test_everything_that_may_be_declared_has_an_option() -> None:
    own = {p.name for p in check.params}
    for field in fields(Declaration):
        assert field.name in NO_OPTION or ANOTHER_NAME.get(field.name, field.name) in own, field.name


def test_what_is_declared_on_the_command_line_is_heard() -> None:
    options = ("--grad", "softmax_grad", "--derivative", "jvp=softmax_grad", "--default", "axis", *HERE)
    result = lossproof("check", "my_functions.py:softmax", *options, "--convention", "4/value=nan", "--no-errors")
    assert result.exit_code == 0, result.output
    assert "value, gradient, JVP; with axis" in result.stdout
    # What is shown otherwise than it is declared is a finding.
    result = lossproof("check", "my_functions.py:softmax", *HERE, "--convention", "4/value=limit", "--no-errors")
    assert result.exit_code == 1, result.output
    for arguments, words in (
        (("--convention", "4=nan"), "--convention is '4=nan'; expected CLAUSE/OUTPUT=SHOWN, such as 4/value=nan"),
        (("--derivative", "hessian=f"), "unknown name in --derivative 'hessian'"),
        (("--default", "axes"), "unknown option in defaults 'axes'"),
    ):
        refused = lossproof("check", "my_functions.py:softmax", *arguments)
        assert refused.exit_code == 2
        assert words in refused.stderr


def test_what_native_code_writes_at_its_import_is_no_news(folder: Path) -> None:
    (folder / "greeting.py").write_text(
        "import os, sys\nos.write(2, b'native\\n')\nprint('mine', file=sys.stderr)\n" + FILE, encoding="utf-8"
    )
    (folder / "failing.py").write_text("import os\nos.write(2, b'native\\n')\nraise OSError('no library')\n", "utf-8")
    done = [
        subprocess.run(
            [sys.executable, "-m", "lossproof", "check", place, "--no-errors", *HERE],
            env=os.environ | {"LOSSPROOF_COMPILED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        for place in ("greeting.py:softmax", "failing.py:softmax")
    ]
    assert [one.returncode for one in done] == [0, 2], done
    assert "native" not in done[0].stderr
    assert "mine\n" in done[0].stderr
    assert "native\n" in done[1].stderr
    assert "OSError: no library" in done[1].stderr


@pytest.mark.parametrize(
    ("name", "op"),
    [
        *(("fused_ce", "cross_entropy"), ("FusedCE", "cross_entropy"), ("CELoss", "cross_entropy")),
        *(("chunked_ce_mean", "cross_entropy"), ("NLLLoss", "nll_loss"), ("my_log_softmax", "log_softmax")),
        *(("reduce", ""), ("force", ""), ("forCE", "cross_entropy"), ("ceiling", "")),
    ],
)
def test_the_op_is_read_off_the_name(name: str, op: str) -> None:
    if op:
        assert op_of(f"losses.py:{name}", None) == op
    else:
        with pytest.raises(UsageError, match="which op is"):
            op_of(f"losses.py:{name}", None)
