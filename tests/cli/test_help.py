"""Help ends with examples that the command line understands, and shells complete what it has."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lossproof import __version__
from lossproof.cli.examples import EXAMPLES
from lossproof.cli.main import cli

SHELLS = {"bash": ("-n",), "zsh": ("-n",), "fish": ("--no-execute",)}


def commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def test_every_option_says_what_it_is() -> None:
    """Its help, the name of its value, and whether it may be given more than once."""
    several = dict(commands(cli))
    # sanity check: there are commands
    assert len(several) > 20
    wrong: list[str] = []
    for path, command in several.items():
        for o in command.params:
            where = f"{path} {o.opts[0]}"
            if isinstance(o, click.Argument):
                continue
            # sanity check: what is no argument is an option
            assert isinstance(o, click.Option)
            said = o.help or ""
            wrong += [f"{where}: no help"] * (not said.endswith("."))
            takes_words = not o.is_flag and not isinstance(o.type, click.Choice) and not o.count
            wrong += [f"{where}: no metavar"] * (takes_words and not o.metavar)
            wrong += [f"{where}: repeatable"] * (o.multiple != ("repeatable" in said))
    assert wrong == []


@pytest.mark.parametrize("width", [60, 80])
def test_help_fits_its_terminal(width: int) -> None:
    """But for examples, which are pasted."""
    wide: list[str] = []
    for path, command in commands(cli):
        said = click.Context(command, info_name=path, terminal_width=width, max_content_width=width).get_help()
        wide += [f"{path}: {line}" for line in said.partition("\n  Examples:")[0].splitlines() if len(line) > width]
    assert wide == []


def test_every_command_has_examples() -> None:
    assert EXAMPLES.keys() == dict(commands(cli)).keys()


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_are_understood_and_shown(path: str) -> None:
    command = dict(commands(cli))[path]
    shown = CliRunner().invoke(cli, [*path.split(), "--help"], prog_name="lossproof").stdout
    lines = [line.strip() for line in shown.splitlines()]
    for line in EXAMPLES[path]:
        assert f"lossproof {line}" in lines
        words = shlex.split(line, comments=True)
        words = words[: words.index(">")] if ">" in words else words
        assert words[: len(path.split())] == path.split()
        command.make_context(path, words[len(path.split()) :])


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_is_a_script_of_its_shell(shell: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="lossproof")
    assert result.exit_code == 0
    assert f"_LOSSPROOF_COMPLETE={shell}_complete" in result.stdout
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(result.stdout)
    subprocess.run([found, *SHELLS[shell], str(script)], check=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --last", ["plain,--last-failed"]),
        ("run num", ["plain,numpy"]),
        ("run ./my", ["file,./my"]),
        ("run --deck s", ["plain,smoke"]),
        ("run --dtype bf", ["plain,bfloat16"]),
        ("sweep --kind gaps3", ["plain,gaps32"]),
        ("deck list --op log_", ["plain,log_softmax"]),
        ("explain ID --target num", ["plain,numpy"]),
        ("show my", ["file,my"]),
        ("check my", ["file,my"]),
        ("check f.py:g --target num", []),
        ("run --record my", ["file,my"]),
        ("deck export my", ["dir,my"]),
    ],
)
def test_what_a_shell_asks_is_completed(words: str, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LOSSPROOF_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"lossproof {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    result = CliRunner().invoke(cli, [], prog_name="lossproof")
    assert [line for line in result.stdout.splitlines() if line] == said


def test_the_version_is_that_of_lossproof_however_it_was_started() -> None:
    result = CliRunner().invoke(cli, ["--version"], prog_name="python -m lossproof")
    assert (result.exit_code, result.output) == (0, f"lossproof, version {__version__}\n")
