"""The build backend of the project: setuptools, with three things done differently.

A wheel is built in a temporary folder. Setuptools' own ``build/lib`` is kept from build to build, and what was left
there of a module that has since been moved or deleted would be packed, too.

An editable install puts a folder of links on the path, ``.dev/lossproof``, which has the entries of ``conformance/``
side by side with ``adapters/``, ``golden/`` and ``docs/``. Setuptools would install an import hook instead, because no
folder of the checkout bears the import name, and type checkers and editors cannot read a hook. Rooms are linked as
folders, so new modules in them are there at once. ``python tools/backend.py`` makes the links alone, without an
installation.

A source distribution of the same files has the same bytes where ``SOURCE_DATE_EPOCH`` is set.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LINKS = ROOT / ".dev"
PACKAGE = "lossproof"
# Folders of the checkout that are parts of the package: code, data, and the documents that the board quotes.
BESIDE = ("adapters", "golden", "docs")
Settings = Mapping[str, Any] | None


def link() -> Path:
    """Make the folder of links, or renew it, and return the folder to put on the path."""
    package = LINKS / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    paths = [p for p in (ROOT / "conformance").iterdir() if p.name != "__pycache__"]
    wanted = {p.name: os.path.relpath(p, package) for p in [*paths, *(ROOT / folder for folder in BESIDE)]}
    there = {p.name: os.readlink(p) for p in package.iterdir() if p.is_symlink()}
    for name in {name for name, _ in wanted.items() ^ there.items()}:
        if name in there:
            (package / name).unlink()
        if name in wanted:
            (package / name).symlink_to(wanted[name])
    return LINKS


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build the wheel from the files of the checkout and nothing else; the name of its file."""
    with _apart() as backend:
        return str(backend.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Build the source distribution; the name of its file."""
    # Setuptools writes its list of sources beside them, and reads an old one.
    listed = ROOT / f"{PACKAGE}.egg-info"
    shutil.rmtree(listed, ignore_errors=True)
    try:
        name = str(_setuptools().build_sdist(sdist_directory, config_settings))
        if os.environ.get("SOURCE_DATE_EPOCH"):
            _pack_again(Path(sdist_directory, name), int(os.environ["SOURCE_DATE_EPOCH"]))
        return name
    finally:
        shutil.rmtree(listed, ignore_errors=True)


def _pack_again(path: Path, seconds: int) -> None:
    """Write a source distribution again in order, with one date, and without owners."""
    with tarfile.open(path) as packed:
        members = [(m, packed.extractfile(m)) for m in packed.getmembers()]
        texts = {m.name: (m.isdir(), bool(m.mode & 0o100), f.read() if f else b"") for m, f in members}
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as again:
        for name, (is_folder, is_program, data) in sorted(texts.items()):
            info = tarfile.TarInfo(name)
            info.mtime, info.size = seconds, len(data)
            info.type = tarfile.DIRTYPE if is_folder else tarfile.REGTYPE
            info.mode = 0o755 if is_folder or is_program else 0o644
            again.addfile(info, io.BytesIO(data))
    path.write_bytes(gzip.compress(tar.getvalue(), mtime=seconds))


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel that holds the metadata and a ``.pth`` file with the folder of links; the name of its file."""
    with tempfile.TemporaryDirectory() as made:
        info = Path(metadata_directory or Path(made, prepare_metadata_for_build_editable(made, config_settings)))
        files = {
            f"{info.name}/{p.relative_to(info).as_posix()}": p.read_bytes() for p in info.rglob("*") if p.is_file()
        }
    files[f"__editable__.{PACKAGE}.pth"] = f"{link()}\n".encode()
    files[f"{info.name}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: tools/backend.py\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{info.name}/RECORD"
    files[record] = "".join([*(_recorded(name, data) for name, data in files.items()), f"{record},,\n"]).encode()
    name = f"{info.name.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)
    return name


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """Write the metadata; the name of their folder."""
    with _apart() as backend:
        return str(backend.prepare_metadata_for_build_wheel(metadata_directory, config_settings))


# They are the same: an editable installation has all entry points and requirements of the wheel.
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


@contextmanager
def _apart() -> Iterator[Any]:
    """Setuptools with all that it generates in a temporary folder."""
    before = os.environ.get("DIST_EXTRA_CONFIG")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "setup.cfg")
        config.write_text(f"[build]\nbuild_base = {folder}/build\n[egg_info]\negg_base = {folder}\n", encoding="utf-8")
        os.environ["DIST_EXTRA_CONFIG"] = str(config)
        try:
            yield _setuptools()
        finally:
            if before is None:
                del os.environ["DIST_EXTRA_CONFIG"]
            else:
                os.environ["DIST_EXTRA_CONFIG"] = before


def _setuptools() -> Any:
    from setuptools import build_meta

    return build_meta


def _recorded(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


if __name__ == "__main__":
    print(link())
