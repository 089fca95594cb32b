"""The names that semantic versioning covers (docs/public-api.md) are written in ``public_names.txt``, so that a change
of them is deliberate.

``python tests/api/test_public_names.py`` writes the file again.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

WRITTEN = Path(__file__).with_name("public_names.txt")
MODULES = ("lossproof", "lossproof.pytest", "lossproof.adapters")


def names(module: str) -> Iterator[str]:
    """One line for each name of a module, and for each public member of its classes."""
    found = import_module(module)
    for name in sorted(found.__all__):
        value = getattr(found, name)
        if inspect.isclass(value):
            yield f"{module}.{name}{signature(value)}"
            yield from (f"{module}.{name}.{line}" for line in members(value))
        elif callable(value):
            yield f"{module}.{name}{signature(value)}"
        else:
            yield f"{module}.{name}" + (f" = {value!r}" if name.isupper() else "")


def signature(value: Any) -> str:
    if inspect.isclass(value) and getattr(value, "_is_protocol", False):
        return ""
    try:
        # Annotations are texts, and printed in quotes.
        return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(value)))
    except ValueError:
        # Exceptions have the signature of their base, which is written in C.
        return "(...)"


def members(value: type) -> Iterator[str]:
    fields = {f.name for f in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    for name, member in sorted(vars(value).items()):
        if name.startswith("_") or name in fields:
            continue
        # Of a class method the class knows the signature.
        found = getattr(value, name) if isinstance(member, classmethod) else member
        yield f"{name}{signature(found)}" if callable(found) else name


def commands(command: click.Command, path: str) -> Iterator[str]:
    """One line for each command, with its arguments and options, and one for each of these that says what it takes."""
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from commands(inner, f"{path} {name}")
    else:
        arguments = [p.human_readable_name for p in command.params if isinstance(p, click.Argument)]
        options = sorted("/".join(p.opts) for p in command.params if isinstance(p, click.Option))
        yield " ".join([path, *arguments, *options])
        yield from (f"  {line}" for line in sorted(map(taken, command.params)))


def taken(parameter: click.Parameter) -> str:
    """What an argument or an option takes, how often, and what stands for it where it is not given."""
    names = "/".join([*parameter.opts, *parameter.secondary_opts])
    kind = parameter.type.__class__.__name__ if isinstance(parameter.type, click.Path) else str(parameter.type)
    facts = {name: value for name, value in vars(parameter.type).items() if isinstance(parameter.type, click.Path)}
    said = [kind, *(name for name, value in sorted(facts.items()) if value is True)]
    said += [f"nargs {parameter.nargs}"] * (parameter.nargs != 1) + ["required"] * parameter.required
    if isinstance(parameter, click.Option):
        flags = {"flag": parameter.is_flag, "counted": parameter.count, "hidden": parameter.hidden}
        said += [name for name, holds in {**flags, "repeatable": parameter.multiple}.items() if holds]
        said += [f"for {parameter.flag_value}"] * isinstance(parameter.flag_value, str)
        default = parameter.to_info_dict()["default"]
        if default not in (None, ()) and default is not False:
            said.append(f"default {default!r}" + ", which help shows" * bool(parameter.show_default))
    return f"{names}: {', '.join(said)}"


def written() -> str:
    from lossproof.cli.main import cli

    lines = [line for module in MODULES for line in names(module)]
    return "\n".join([*lines, *commands(cli, "lossproof")]) + "\n"


def test_the_public_names_are_those_that_are_written() -> None:
    before, now = WRITTEN.read_text(encoding="utf-8"), written()
    differ = "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), "written", "now", lineterm="", n=0))
    assert not differ, f"{differ}\nif that is meant: python tests/api/{Path(__file__).name}, and a line in CHANGELOG.md"


def test_the_names_are_those_of_the_modules_that_define_them() -> None:
    for module in MODULES:
        found = import_module(module)
        assert set(found.__all__) <= set(dir(found))
        for name in found.__all__:
            value = getattr(found, name)
            home = import_module(getattr(value, "__module__", None) or "lossproof.adapters.protocol")
            assert name == "__version__" or getattr(home, name) is value


@pytest.mark.parametrize("module", MODULES)
def test_a_name_that_is_not_there_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'softmin'"):
        _ = import_module(module).softmin
    with pytest.raises(ImportError, match="softmin"):
        exec(f"from {module} import softmin")


def test_names_cost_nothing_until_they_are_used() -> None:
    program = (
        "import sys, lossproof, lossproof.adapters\n"
        "dir(lossproof), dir(lossproof.adapters)\n"
        "ours = {m for m in sys.modules if m.startswith('lossproof')}\n"
        "assert ours == {'lossproof', 'lossproof.adapters'}, ours\n"
        "assert 'numpy' not in sys.modules\n"
        "from lossproof import *\n"
        "from lossproof.adapters import *\n"
        "assert check_implementation and Problem and 'numpy' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    WRITTEN.write_text(written(), encoding="utf-8")
