"""Examples of commands, which their help ends with."""

from __future__ import annotations

from collections.abc import Mapping

import click

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "bisect": ("bisect torch CASE --good 2.9.1 --bad 2.13.0",),
    "board": ("board records/*.json -o site",),
    "cache": ("cache", "cache --clear"),
    "cases": ("cases onnx", "cases onnx@./venv/bin/python --list"),
    "check": ("check losses.py:my_loss --op cross_entropy", "check losses.py:my_loss --deck full --html report.html"),
    "completion": (
        "completion bash > ~/.local/share/bash-completion/completions/lossproof",
        "completion zsh > ~/.zfunc/_lossproof",
        "completion fish > ~/.config/fish/completions/lossproof.fish",
    ),
    "condense": ("condense record.jsonl -o records",),
    "deck coverage": ("deck coverage torch", "deck coverage jax+jit --deck full --json"),
    "deck export": ("deck export there --deck smoke",),
    "deck list": ("deck list --deck smoke --op softmax", "deck list --id '*/float32/hot/*'"),
    "diff": ("diff before.jsonl after.jsonl", "diff before.jsonl after.jsonl --fail-on bits --format markdown"),
    "doctor": ("doctor", "doctor --json"),
    "env create": ("env create old torch==1.10.2 --python 3.9",),
    "env list": ("env list",),
    "env remove": ("env remove old",),
    "explain": ("explain c9b7696d --target torch", "explain ID --record run.jsonl --target torch"),
    "giant": ("giant torch",),
    "golden check": ("golden check",),
    "gpu": ("gpu", "gpu torch --plan"),
    "history": ("history torch",),
    "judge": ("judge answers", "judge answers --record run.jsonl --html report.html"),
    "merge": ("merge 1.jsonl 2.jsonl 3.jsonl 4.jsonl -o whole.jsonl",),
    "new-adapter": ("new-adapter mine --framework torch", "new-adapter mine --language javascript"),
    "report": ("report run.jsonl -o report.html", "report before.jsonl after.jsonl -o changes.html"),
    "repro": ("repro 21015e09 --target torch --simplify", "repro ID --record run.jsonl --issue"),
    "run": (
        "run torch --deck smoke",
        "run torch jax+jit --record run.jsonl --html report.html",
        "run torch --last-failed --maxfail 1",
        "run torch --cases onnx",
        "run torch --id 'cross_entropy/float16/*' --exclude '*/relation/*'",
    ),
    "show": ("show run.jsonl", "show run.jsonl --verdict fail --limit 5"),
    "soak": ("soak torch --hours 1",),
    "sweep": ("sweep torch",),
    "targets": ("targets", "targets torch"),
    "upgrade": ("upgrade torch==2.12.1 torch==2.13.0", "upgrade --from old.txt --to new.txt --target torch+compile"),
    "waive": ("waive run.jsonl --to mine.toml",),
}


def add_examples(group: click.Group, above: str = "") -> None:
    """Let the help of every command of a group end with its examples."""
    for name, command in group.commands.items():
        path = f"{above}{name}"
        if isinstance(command, click.Group):
            add_examples(command, f"{path} ")
        elif path in EXAMPLES:
            lines = "\n".join(f"  lossproof {line}" for line in EXAMPLES[path])
            command.epilog = f"\b\nExamples:\n{lines}"
