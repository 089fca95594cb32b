"""``lossproof cache``: what there is of judgements that were made before, and of compiled loops."""

from __future__ import annotations

import os
import time

import click

from lossproof.judging.fused import compiler
from lossproof.records import judgement_store
from lossproof.running import judgement_cache

_MIB = 2**20


def cache_command(*, clear: bool) -> int:
    """Print the use of the cache of judgements in a line or two, or delete it and what was compiled."""
    path = judgement_cache.store_path()
    if clear:
        click.echo(f"deleted {path} ({judgement_store.clear(path) / _MIB:.1f} MiB)")
        click.echo(f"deleted {compiler.folders()} ({compiler.forget() / _MIB:.1f} MiB)")
        return 0
    if not path.is_file():
        click.echo(f"{path}: no judgements are kept")
    else:
        store = judgement_store.JudgementStore(path)
        usage = store.usage()
        if store.trouble:
            click.echo(f"the cache cannot be used: {store.trouble}")
        else:
            oldest = f", the oldest used on {time.strftime('%Y-%m-%d', time.gmtime(usage.oldest))}" * bool(
                usage.entries
            )
            size = f"{usage.bytes / _MIB:.1f} of at most {judgement_store.MOST_BYTES // _MIB} MiB"
            click.echo(f"{path}: judgements of {usage.entries} answers, {size}{oldest}")
        store.close()
    if os.environ.get(judgement_cache.OFF):
        click.echo(f"{judgement_cache.OFF} is set: runs do not use it")
    return 0
