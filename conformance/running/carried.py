"""A script that carries a deck and the adapters: one Python file for a machine with a framework and no lossproof.

It unpacks what it carries to a temporary folder and leaves the rest to ``adapters/play.py``, which is in there. What
that writes is a bundle, a folder or a tar file of it, whose files of answers are judged here.
"""

from __future__ import annotations

import base64
import io
import shutil
import tarfile
import tempfile
import textwrap
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossproof import __version__
from lossproof.adapters.play import SUFFIX
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.running.detached import export

_SCRIPT = '''\
"""Judge softmax losses on the devices of this machine: a deck of lossproof {version}, with what plays it.

    python {name} [BUNDLE] [--target NAME[+MODE][:DEVICE]] [--seconds SECONDS]

Needs Python 3.8 or newer, numpy and torch, jax or tensorflow; no network and no lossproof. It writes the folder BUNDLE
and BUNDLE.tar.gz, for lossproof judge.
"""

import base64
import importlib
import importlib.util
import io
import os
import sys
import tempfile
import zipfile


def main():
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(CARRIED))) as carried:
            carried.extractall(folder)
        adapters = os.path.join(folder, "adapters")
        spec = importlib.util.spec_from_file_location("boot", os.path.join(adapters, "boot.py"))
        boot = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(boot)
        boot.check()
        boot.graft(adapters)
        player = importlib.import_module("lossproof.adapters.play")
        return player.main(sys.argv[1:], os.path.join(folder, "deck"))


CARRIED = """
{carried}
"""

if __name__ == "__main__":
    sys.exit(main())
'''


def new_script(path: Path) -> None:
    """Check the name of a script before its deck is drawn. Raises :class:`UsageError` for a file that is there."""
    if path.exists():
        raise UsageError(f"{path} exists; expected the name of a new file")


def write_script(path: Path, calls: Sequence[Call], facts: Mapping[str, Any], timeout: float) -> int:
    """Write the script, and return the number of calls that it carries.

    ``facts`` are the arguments that make the deck again. Raises :class:`UsageError` for a file that is there already.
    """
    new_script(path)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "away")
        count = export(folder, calls, facts, timeout)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as carried:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    carried.write(file, file.relative_to(folder))
    lines = "\n".join(textwrap.wrap(base64.b64encode(packed.getvalue()).decode(), 120))
    try:
        path.write_text(_SCRIPT.format(version=__version__, name=path.name, carried=lines), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    return count


def answer_files(path: Path, unpacked: Path) -> list[Path]:
    """Return the files of answers that a path means: of a bundle every one, of a file of answers itself.

    A bundle that is a tar file is taken apart in the folder ``unpacked``. Raises :class:`UsageError` for a bundle
    without answers.
    """
    if path.is_file() and tarfile.is_tarfile(path):
        unpacked.mkdir(parents=True, exist_ok=True)
        _unpack(path, unpacked)
        folder = unpacked
    elif path.is_dir():
        folder = path
    else:
        return [path]
    found = sorted(folder.rglob(f"*{SUFFIX}"))
    if not found and any(folder.rglob("*.jsonl")):
        raise UsageError(
            f"bundle {path} has records, which are judged; expected answers (lossproof show reads a record)"
        )
    if not found:
        raise UsageError(f"bundle {path} has no answers; its summary.json says why")
    return found


def _unpack(bundle: Path, folder: Path) -> None:
    """Copy the files of answers that a tar file holds, by their names alone."""
    try:
        with tarfile.open(bundle) as tar:
            for member in tar:
                # A link is no file that a player writes, and may lead nowhere.
                file = tar.extractfile(member) if member.isreg() and member.name.endswith(SUFFIX) else None
                if file is not None:
                    with (folder / Path(member.name).name).open("wb") as copy:
                        shutil.copyfileobj(file, copy)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UsageError(f"cannot read bundle {bundle}: {error}") from None
