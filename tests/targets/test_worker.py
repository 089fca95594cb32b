"""Workers: what travels, how they are started in any interpreter, and that a run through them is a run without."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters import compiled, wire
from lossproof.adapters.protocol import THREADS, Capabilities, Outcome, Problem, Support, Tensor
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.records.record import to_line
from lossproof.running import header
from lossproof.running.loop import run
from lossproof.targets import selection
from lossproof.targets.launch import Launch, Processes, adapters_folder, cache_folder, environment
from lossproof.targets.target import Target, parse_target, spec
from tests.support.thinned import WHOLE, thinned
from tests.support.views import install, python

HERE = Path(__file__).parents[1] / "support"
FAULTY = f"{HERE / 'faulty.py'}:ADAPTER"
PROCESSES = Processes(timeout=900)
# Of the losses, of which there are many, one of eight.
_BOTH = select("smoke", ops=["softmax", "cross_entropy"], dtypes=["float32"])
SMOKE = [call for i, call in enumerate(_BOTH) if WHOLE or call.case.op == "softmax" or i % 8 == 0]


# What travels


def through(message: wire.Message) -> wire.Message:
    reader = wire.Reader()
    reader.feed(wire.pack(message))
    (found,) = reader.messages()
    return found


SPECIAL = np.array([[0.1, -0.0, math.inf], [5e-324, -math.inf, math.nan]])
PAYLOAD = np.array([0x7FF0000000000001, 0xFFF8000000000123], dtype=np.uint64).view(np.float64)
ARRAYS = [
    SPECIAL,
    SPECIAL.T,
    SPECIAL[:, ::-1],
    np.broadcast_to(SPECIAL[:1], (4, 3)),
    PAYLOAD,
    np.zeros((0, 3)),
    np.array(1.5),
    *(np.array([1, 2], dtype=kind) for kind in ("int8", "uint8", "int16", "int32", "int64", ">i4", "bool", ">f8")),
    np.array([-(2**63), 2**63 - 1]),
]


@pytest.mark.parametrize("a", ARRAYS, ids=lambda a: f"{a.dtype}-{a.shape}")
def test_arrays_arrive_bit_for_bit(a: np.ndarray) -> None:
    found = through({"kind": "x", "a": a})["a"]
    assert found.dtype == a.dtype
    assert found.shape == a.shape
    assert found.tobytes() == a.tobytes()
    assert found.flags.writeable
    assert found.flags.c_contiguous
    assert found.flags.aligned


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), "text\n\x00é", 0.1, -0.0, math.inf, (1, ("a",)), [1, [2.5]], {("a", "b"): "W"}],
    ids=repr,
)
def test_values_arrive_as_they_are(value: object) -> None:
    found = through({"kind": "x", "value": value})["value"]
    assert found == value
    assert type(found) is type(value)
    assert str(found) == str(value)


def test_problems_and_answers_arrive_whole() -> None:
    for call in SMOKE:
        p = through({"kind": "x", "p": call.problem})["p"]
        assert Call(p, "f").digest == Call(call.problem, "f").digest
    p = Problem("cross_entropy", "float32", SPECIAL, ignore_index=-(2**62), label_smoothing=math.nan, layout="stepped")
    found = through({"kind": "x", "p": p})["p"]
    assert (found.ignore_index, found.layout) == (p.ignore_index, p.layout)
    assert math.isnan(found.label_smoothing)
    assert str(through({"kind": "x", "p": replace(p, label_smoothing=-0.0)})["p"].label_smoothing) == "-0.0"
    answer = Outcome({"value": Tensor(np.float64(2.5), "float32")}, seconds=0.1, modified=("x",))  # type: ignore[arg-type]
    found = through({"kind": "x", "o": answer})["o"]
    assert found.outputs["value"].data.shape == ()
    assert (found.seconds, found.modified) == (0.1, ("x",))
    c = Capabilities({"softmax": Support("native", note="a")}, profiles={("softmax", "float16"): "W"})
    assert through({"kind": "x", "c": c})["c"] == c


def framed(text: object, blob: bytes = b"") -> bytes:
    data = json.dumps(text).encode()
    return wire.MAGIC + len(data).to_bytes(4, "big") + len(blob).to_bytes(8, "big") + data + blob


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (framed({"map": [["kind", {"is": "Problem", "fields": {"frob": 1, "op": "softmax"}}]]}), "no field frob here"),
        (framed({"map": [["kind", {"is": "Popen", "fields": {}}]]}), "cannot be read: KeyError: 'Popen'"),
        (framed({"map": [["kind", {"array": "|O", "shape": [1], "size": 8}]]}, b"x" * 8), "an array of dtype"),
        (framed({"map": [["kind", {"array": "<f8", "shape": [9], "size": 72}]]}, b"x" * 8), "an array of dtype '<f8'"),
        (framed([1]), "no message"),
        (framed({"map": [["kind", "x"]]}) + b"y" * 40, "it begins with"),
        (wire.MAGIC + b"\x00\x00\x00\x03" + b"\x00" * 8 + b"not", "cannot be read"),
    ],
    ids=["field", "class", "object", "short", "list", "bytes", "text"],
)
def test_a_malformed_frame_is_one_error(data: bytes, message: str) -> None:
    reader = wire.Reader()
    reader.feed(data)
    with pytest.raises(wire.WireError, match=re.escape(message)):
        list(reader.messages())


def test_values_without_an_encoding_are_refused() -> None:
    for value in (object(), {1, 2}, np.array([None]), b"bytes"):
        with pytest.raises(wire.WireError, match="no encoding"):
            wire.pack({"kind": "x", "value": value})


def test_frames_come_in_any_portions() -> None:
    data = b"a greeting\n" + b"".join(wire.pack({"kind": "x", "n": n, "a": SPECIAL}) for n in range(3))
    for step in (1, 7, 64, len(data)):
        reader, found = wire.Reader(), []
        for start in range(0, len(data), step):
            reader.feed(data[start : start + step])
            found += [m["n"] for m in reader.messages()]
        assert found == [0, 1, 2]
        assert reader.pending == 0
        assert reader.consumed == len(data)


# A run through workers


def lines(targets: Sequence[Target], calls: Sequence[Call]) -> list[dict[str, Any]]:
    return [to_line(replace(o, seconds=0.0)) for o in run(targets, calls)]


def test_a_worker_gives_what_the_adapter_gives_here() -> None:
    targets = selection.choose_targets(["numpy"], PROCESSES)
    try:
        # The next test has others.
        assert lines(targets, SMOKE[:20]) == lines([parse_target("numpy")], SMOKE[:20])
        assert targets[0].describe() == parse_target("numpy").describe()
        assert targets[0].capabilities == parse_target("numpy").capabilities
        p = SMOKE[0].problem
        assert targets[0].script(p) == parse_target("numpy").script(p)
    finally:
        selection.close(targets)


def test_targets_side_by_side_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side or one after the other."""
    calls = thinned(SMOKE, to=3)
    monkeypatch.setenv("FAULT", "")
    targets = selection.choose_targets(["numpy", FAULTY], PROCESSES)
    try:
        found, one = ([to_line(replace(o, seconds=0.0)) for o in run(targets, calls, jobs=n)] for n in (2, 1))
    finally:
        selection.close(targets)
    assert one == found
    both = [parse_target("numpy"), parse_target(FAULTY)]
    assert [t.name for t in targets] == [t.name for t in both] == ["numpy", FAULTY]
    assert found == lines(both, calls)


def test_a_target_that_is_named_twice_is_one() -> None:
    targets = selection.choose_targets(["numpy", "numpy:cpu", "numpy", "numpy+eager"], PROCESSES)
    selection.close(targets)
    assert [t.name for t in targets] == ["numpy"]


def test_a_run_can_be_broken_off() -> None:
    targets = selection.choose_targets(["numpy"], PROCESSES)
    observations = run(targets, SMOKE)
    next(observations)
    # sanity check: nobody goes on with it
    assert isinstance(observations, Generator)
    observations.close()
    selection.close(targets)


def test_modified_inputs_are_seen_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "careless.py"
    file.write_text(
        "from lossproof.adapters.numpy import NumpyAdapter\n"
        "class Careless(NumpyAdapter):\n"
        "    name = 'careless'\n"
        "    def evaluate(self, problem, device, mode):\n"
        "        out = super().evaluate(problem, device, mode)\n"
        "        problem.x[...] = 0.0\n"
        "        return out\n"
        "ADAPTER = Careless()\n"
    )
    purity = [c for c in SMOKE if "/purity-" in c.id]
    # sanity check: the deck has the relation
    assert purity
    targets = selection.choose_targets([f"{file}:ADAPTER"], PROCESSES)
    try:
        found = [o for o in run(targets, purity) if "/all/" not in o.id]
    finally:
        selection.close(targets)
    assert {o.verdict for o in found} == {"fail"}
    assert all("modified its input x" in o.message for o in found)


def test_answers_that_cannot_travel_are_answers(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "from lossproof.adapters.numpy import NumpyAdapter\n"
        "import numpy as np\n"
        "class Odd(NumpyAdapter):\n"
        "    def evaluate(self, problem, device, mode):\n"
        "        return {'value': np.array([None]), 'vjp': {1}}\n"
        "ADAPTER = Odd()\n"
    )
    targets = selection.choose_targets([f"{file}:ADAPTER"], PROCESSES)
    try:
        found = [o for o in run(targets, SMOKE[:2]) if "/all/" not in o.id]
    finally:
        selection.close(targets)
    assert {o.verdict for o in found} == {"fail"}
    assert "the adapter's answer cannot be sent" in found[0].message


def test_threads_are_set_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    (target,) = targets = selection.choose_targets(["numpy"], PROCESSES)
    try:
        described = header.describe(target)
    finally:
        selection.close(targets)
    assert described["threads"] == {**dict.fromkeys(THREADS, "1"), "OMP_NUM_THREADS": "3"}
    assert described["python"] == ".".join(map(str, sys.version_info[:3]))
    assert not set(THREADS[1:]) & set(os.environ), "the engine's own variables stay as they are"
    assert environment()["OMP_NUM_THREADS"] == "3"


def test_a_gpu_is_shared_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    assert environment()["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    assert environment()["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"


SWAYED = """
import os
from dataclasses import replace
import numpy as np
from lossproof.adapters.numpy import NumpyAdapter

class Swayed(NumpyAdapter):
    name = "swayed"

    def capabilities(self):
        return replace(super().capabilities(), conventions={}, outputs=("value",))

    def evaluate(self, problem, device, mode):
        value = super().evaluate(problem, device, mode)["value"]
        if os.environ.get("SWAY"):
            top = problem.x == np.inf
            one = top.sum(problem.axis, keepdims=True) == 1
            value = replace(value, data=np.where(one, top, value.data))
        return {"value": value}

ADAPTER = Swayed()
"""


def test_variables_are_set_for_their_target_alone_and_recorded() -> None:
    name = "numpy%OMP_NUM_THREADS=3%SWAY=a b"
    several = selection.choose_targets(["numpy", name], PROCESSES)
    try:
        described = [header.describe(t) for t in several]
        program = several[1].script(SMOKE[0].problem)
        found = [o for o in run(several, SMOKE[:40]) if o.output == "all"]
    finally:
        selection.close(several)
    assert [t.name for t in several] == ["numpy", name]
    assert [d["threads"]["OMP_NUM_THREADS"] for d in described] == ["1", "3"]
    assert [d.get("variables") for d in described] == [None, {"OMP_NUM_THREADS": "3", "SWAY": "a b"}]
    assert [d["implementation"] for d in described] == ["numpy", "numpy"]
    assert not {"SWAY"} & set(os.environ)
    assert {(o.target, o.verdict) for o in found} == {(name, "pass")}, "its bits are compared with those of the other"
    assert program.splitlines()[1:4] == [
        "import os",
        'os.environ["OMP_NUM_THREADS"] = "3"',
        'os.environ["SWAY"] = "a b"',
    ]
    assert selection.missing_targets([name, "numpy%SWAY=c"], several) == ["numpy%SWAY=c"]


def test_variables_need_a_process() -> None:
    with pytest.raises(UsageError, match=r"variables need a process of its own; leave out --in-process"):
        selection.choose_targets(["numpy%A=1"])


def test_conventions_must_not_depend_on_a_variable(tmp_path: Path) -> None:
    """Each of the two alone keeps to one convention."""
    file = tmp_path / "swayed.py"
    file.write_text(SWAYED)
    names = [f"{file}:ADAPTER", f"{file}:ADAPTER%SWAY=1"]
    calls = [c for c in SMOKE if c.family == "positive_infinity" and c.problem.op == "softmax"]
    told = []
    for chosen in (names[:1], names):
        several = selection.choose_targets(chosen, PROCESSES)
        try:
            told.append([o for o in run(several, calls) if o.target == "swayed" and o.verdict == "fail"])
        finally:
            selection.close(several)
    assert [bool(found) for found in told] == [False, True]


# How workers are started


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("numpy", ("numpy", "", "", "", {})),
        ("numpy+jit:cuda:0@/a b/bin/python", ("numpy", "jit", "cuda:0", "/a b/bin/python", {})),
        ("numpy:cpu", ("numpy", "", "cpu", "", {})),
        ("numpy@./venv", ("numpy", "", "", "./venv", {})),
        (f"{FAULTY}+eager:cpu:1@x", (FAULTY, "eager", "cpu:1", "x", {})),
        ("lossproof.adapters.numpy:ADAPTER+eager", ("lossproof.adapters.numpy:ADAPTER", "eager", "", "", {})),
        ("numpy%OMP_NUM_THREADS=4", ("numpy", "", "", "", {"OMP_NUM_THREADS": "4"})),
        ("numpy+eager:cpu@x%A=--b=c,d:e+f%B=", ("numpy", "eager", "cpu", "x", {"A": "--b=c,d:e+f", "B": ""})),
    ],
)
def test_target_strings(text: str, parts: tuple[object, ...]) -> None:
    s = spec(text)
    assert (s.name, s.mode, s.device, s.environment, dict(s.variables)) == parts
    assert s.within(s.environment) == text
    assert spec(s.within("elsewhere")) == replace(s, text=s.within("elsewhere"), environment="elsewhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num py", "cannot read target 'num py'; expected NAME[+MODE][:DEVICE][@ENVIRONMENT]"),
        ("no/such.py:ADAPTER", "there is no file no/such.py"),
        ("numpy%A", "cannot read %A in target 'numpy%A'; expected %VARIABLE=VALUE"),
        ("numpy%A=1%", "cannot read % in target 'numpy%A=1%'; expected %VARIABLE=VALUE"),
        ("numpy%=1", "cannot read %=1 in target"),
        ("numpy%A-B=1", "cannot read %A-B=1 in target"),
        ("numpy%A=1%A=2", "target 'numpy%A=1%A=2' sets A twice"),
        ("numpy%A=1@x", "cannot read %A=1@x in target 'numpy%A=1@x'; expected %VARIABLE=VALUE; the environment comes"),
        ("nosuch", "unknown target 'nosuch'"),
        ("lossproof.adapters.numpy:NOTHING", "does not import: AttributeError"),
        ("lossproof.adapters.compose:loss", "is not an adapter"),
        ("numpy@nosuch", "no environment 'nosuch'; there are: "),
        ("numpy@./nosuch/bin/python", "is no interpreter"),
        ("numpy+jit", "numpy has no mode 'jit'; expected one of eager"),
        ("numpy:cuda", "numpy has no device 'cuda' here; expected one of cpu"),
    ],
)
def test_mistakes_are_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        selection.choose_targets([text], PROCESSES)
    assert "\n" not in str(caught.value)


def test_an_installed_adapter_is_found_by_its_worker(tmp_path: Path) -> None:
    site = install(tmp_path / "site")
    some = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32")
    result = python("-m", "lossproof", "run", "crooked", *some, path=site, cwd=tmp_path)
    assert result.returncode == 1
    assert "\x1b" not in result.stdout, "no colours off a terminal"
    assert "FAILED" in result.stdout.splitlines()[-1]
    assert re.search(r"│ crooked .* start \d", result.stdout)


def test_an_empty_name_is_no_target() -> None:
    """It would be every installed adapter, which a shell's empty variable does not mean."""
    for names in ([""], ["numpy", ""]):
        with pytest.raises(UsageError, match="a target has an empty name; expected one such as"):
            selection.choose_targets(names)


def test_a_file_is_a_target_and_its_neighbours_are_importable(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text("SCALE = 1.0\n")
    # A name that must not hide numpy from anybody.
    (tmp_path / "numpy.py").write_text("raise ImportError('not this one')\n")
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from kernel import SCALE\n"
        "from lossproof.adapters.numpy import NumpyAdapter\n"
        "class Mine(NumpyAdapter):\n"
        "    name = 'mine'\n"
        "ADAPTER = Mine()\n"
    )
    part = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "ordinary")
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lossproof")), "run", "mine.py:ADAPTER", *part],
        cwd=tmp_path,
        env=os.environ | {"LOSSPROOF_COMPILED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1].startswith("OK (mine.py:ADAPTER: ")


def test_no_framework_is_imported_by_the_engine(tmp_path: Path) -> None:
    (tmp_path / "framework.py").write_text("")
    (tmp_path / "probe.py").write_text(
        "import framework\nfrom lossproof.adapters.numpy import NumpyAdapter\nADAPTER = NumpyAdapter()\n"
    )
    program = (
        "import sys\n"
        "from lossproof.cli.main import cli\n"
        "deck = ['--deck', 'smoke', '--op', 'softmax', '--dtype', 'float32', '--family', 'ordinary']\n"
        "code = cli(['run', 'probe.py:ADAPTER', *deck], standalone_mode=False)\n"
        "assert code == 0\n"
        "assert not {'framework', 'probe', 'lossproof.adapters.numpy'} & set(sys.modules)\n"
    )
    result = python("-c", program, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_folder_is_never_on_the_path() -> None:
    command = Launch("lossproof.adapters.numpy:ADAPTER").command()
    assert command[1] == "-I"
    folder = str(adapters_folder())
    program = f"import runpy, sys; sys.argv = [{folder!r} + '/boot.py', {folder!r}, 'numpy']; "
    program += "runpy.run_path(sys.argv[0])['graft'](sys.argv[1]); import lossproof.adapters.wire, numpy; "
    program += f"assert {folder!r} not in sys.path; assert numpy.ndarray; print(lossproof.adapters.__file__)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Path(folder) / "__init__.py")


def old_interpreter() -> str:
    """A Python older than this project needs, with numpy."""
    for name in (os.environ.get("LOSSPROOF_TEST_PYTHON38", ""), *(f"python3.{minor}" for minor in (8, 9, 10))):
        path = shutil.which(name) if name else None
        if path and subprocess.run([path, "-c", "import numpy"], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip("no Python 3.8 to 3.10 with numpy is on the PATH or named by LOSSPROOF_TEST_PYTHON38")


def test_an_old_interpreter_with_numpy_alone_will_do() -> None:
    path = old_interpreter()
    (target,) = targets = selection.choose_targets([f"numpy@{path}"], PROCESSES)
    try:
        found = list(run(targets, SMOKE))
        described = header.describe(target)
    finally:
        selection.close(targets)
    assert target.name == f"numpy@{path}"
    assert {o.verdict for o in found} <= {"pass", "convention"}
    assert described["python"].startswith(("3.8.", "3.9.", "3.10."))


def test_an_interpreter_without_numpy_is_a_mistake(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    with pytest.raises(UsageError, match=r"numpy is not installed for .*; install it in "):
        selection.choose_targets([f"numpy@{bare}"], PROCESSES)


# Compilation caches


def test_caches_are_kept_by_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "jax-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(site)])
    first = compiled.fingerprint("jax")
    (site / "unrelated-1.0.dist-info").mkdir()
    assert compiled.fingerprint("jax") == first
    (site / "jaxlib-1.0.dist-info").mkdir()
    second = compiled.fingerprint("jax")
    assert second != first
    assert compiled.fingerprint("other") != second
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert compiled.fingerprint("jax") != second
    monkeypatch.delenv("ATEN_CPU_CAPABILITY")
    for name in ("JAX_COMPILATION_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "2")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
    compiled.keep_compiled(str(tmp_path), "lossproof.adapters.jax:ADAPTER")
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == f"{tmp_path}/compiled/jax-{second}/jax"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == f"{tmp_path}/compiled/jax-{second}/inductor"
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "2", "a user's own setting stays"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")


def test_caches_that_nobody_uses_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAX_COMPILATION_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.setenv(name, "elsewhere")
    for name, age in (("jax-old", 31), ("jax-recent", 29), ("torch-old", 31)):
        folder = tmp_path / "compiled" / name
        (folder / "jax").mkdir(parents=True)
        os.utime(folder, (time.time() - age * 86400,) * 2)
    compiled.keep_compiled(str(tmp_path), "lossproof.adapters.jax:ADAPTER")
    left = {path.name for path in (tmp_path / "compiled").iterdir()}
    assert left == {"jax-recent", "torch-old", f"jax-{compiled.fingerprint('jax')}"}


def test_the_cache_has_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSPROOF_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.delenv("LOSSPROOF_CACHE")
    assert cache_folder().name == "lossproof"
