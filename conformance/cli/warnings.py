"""Warnings of the readers as one line each on standard error, after the work is done."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def warned() -> Iterator[None]:
    """Collect warnings and print each text once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for text in dict.fromkeys(str(w.message) for w in caught):
        click.echo(f"lossproof: warning: {text}", err=True)
