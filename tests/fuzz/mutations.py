"""Mutations of a file that know how it is made: bytes, lines, values of JSON, frames of the wire, what is compressed.

A random mutation of bytes is refused by the first parser. Half of these leave the file well-formed, and change what its
fields hold: another type, a number beside it, a value from elsewhere in the file, a digit of a hexadecimal number, a
byte inside of what is compressed.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from lossproof.adapters.wire import HEAD, MAGIC

_LENGTHS = struct.Struct(">IQ")
# What a number, a name or a list in a file may be turned into.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 7, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan")),
    *("inf", "nan", "", "x", "\u2028", "\ud800", "\x00", "é" * 300, "0x1p+0", "0x1p+99999", "0x", "softmax", "float32"),
    *("a/b/c/d/e", "softmax/float32/hot/n2-k4/0000000000", "../..", "/", "[red]", "%s", "{}", "~", "2024-02-30"),
    *([], [[]], {}, {"a": {}}, [None], [0.5], ["x"], {"": 0}),
)
# Words that a file of lines, such as TOML, may have anywhere.
WORDS = (
    *('"', "'", '"""', "[[waiver]]", "[", "]", "{", "}", "=", "#", "\\", ",", "\n", "\r", "\x00", "\ufeff", "id = [1]"),
    # More deeply nested than any parser follows.
    *("[" * 100_000, '{"a":' * 50_000),
    *('op = "softmax"', "seen = 3", "until = 1.0", "2020-01-01", "-r x", "-e .", "--hash=", "; python_version", "inf"),
)
_WORD = re.compile(rb"[\w.%+*-]+")
_HEX = re.compile(r"-?(0x)?[0-9a-f][0-9a-f.p+-]{3,}\Z")

Change = Callable[[bytes, Random], bytes]


def of_bytes(data: bytes, draw: Random) -> bytes:
    """Change bytes, whatever they are."""
    at = draw.randrange(len(data) + 1)
    kind = draw.randrange(8)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + draw.choice((1, 2, 8, 64)) :]
    if kind == 2:
        return data[:at] + bytes([draw.randrange(256) for _ in range(draw.choice((1, 4)))]) + data[at:]
    if kind == 3:
        return data[:at] + draw.choice(WORDS).encode() + data[at:]
    if kind == 4:
        begun = draw.randrange(len(data) + 1)
        return data[:at] + data[begun : begun + draw.choice((1, 8, 64))] + data[at:]
    if kind == 5 and draw.random() < 0.1:
        return draw.choice(
            (b"", b"\n", b"\x00", b"{}", b"[]", b"null", b"[" * 100_000, b"\xef\xbb\xbf" + data, data + data)
        )
    if at == len(data):
        return data + b"\n"
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def of_lines(data: bytes, draw: Random) -> bytes:
    """Leave out, repeat, exchange or put elsewhere lines; or change the way in which they end."""
    rows = data.split(b"\n")
    row, other = draw.randrange(len(rows)), draw.randrange(len(rows))
    kind = draw.randrange(6)
    if kind == 0:
        del rows[row]
    elif kind == 1:
        rows.insert(other, rows[row])
    elif kind == 2:
        rows.insert(other, rows.pop(row))
    elif kind == 3:
        rows[row] = rows[row][: draw.randrange(len(rows[row]) + 1)] + rows[other]
    elif kind == 4:
        return data.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\n\n")))
    else:
        rows.insert(row, draw.choice(WORDS).encode())
    return b"\n".join(rows)


def of_words(data: bytes, draw: Random) -> bytes:
    """Exchange a word or a number of a text for another of it, or for one that means something."""
    words = list(_WORD.finditer(data))
    if not words:
        return of_bytes(data, draw)
    word, other = draw.choice(words), draw.choice(words)[0]
    new = other if draw.random() < 0.5 else draw.choice((*WORDS, *map(str, VALUES))).encode("utf-8", "surrogatepass")
    return data[: word.start()] + new + data[word.end() :]


def of_json(data: bytes, draw: Random) -> bytes:
    """Change a value somewhere in a JSON value; what is none stays."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return of_bytes(data, draw)
    changed = _in_tree(tree, draw)
    return json.dumps(changed, separators=(",", ":")).encode("utf-8", "surrogatepass")


def of_json_lines(data: bytes, draw: Random) -> bytes:
    """Change a value somewhere in one of many JSON values; often the first, a header, which most readers look at."""
    rows = data.split(b"\n")
    row = 0 if draw.random() < 0.4 else draw.randrange(len(rows))
    rows[row] = of_json(rows[row], draw)
    return b"\n".join(rows)


def _in_tree(tree: Any, draw: Random) -> Any:
    places = list(_places(tree))
    if not places:
        return draw.choice(VALUES)
    # Values far down are many: one near the root is as likely as one that is not.
    owner, key = draw.choice(places) if draw.random() < 0.6 else draw.choice(places[: len(_here(tree))])
    kind = draw.randrange(8)
    if kind == 0:
        del owner[key]
    elif kind == 1:
        other, its = draw.choice(places)
        owner[key] = json.loads(json.dumps(other[its]))
    elif kind == 2:
        owner[key] = [owner[key]]
    elif kind == 3 and isinstance(owner, dict):
        owner[draw.choice((f"{key}x", "", "id", "of", "end"))] = owner.pop(key)
    elif kind <= 5:
        owner[key] = draw.choice(VALUES)
    else:
        owner[key] = _near(owner[key], draw)
    return tree


def _here(tree: Any) -> Any:
    return tree if isinstance(tree, (dict, list)) else ()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    # Those of the root come first.
    items = list(tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ())
    yield from ((tree, key) for key, _ in items)
    for _, value in items:
        yield from _places(value)


def _near(value: Any, draw: Random) -> Any:
    """Return a value of the same type that is a little different."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return draw.choice((value + 1, value - 1, -value, value * 1000, float(value) if abs(value) < 2**1000 else 0.5))
    if isinstance(value, float):
        return draw.choice((-value, value * 2, value + 1, int(value) if abs(value) < 1e9 else 0))
    if isinstance(value, list):
        return draw.choice((value[:-1], value + value[:1], value[::-1], dict(enumerate(value))))
    if isinstance(value, dict):
        return draw.choice((list(value), list(value.values()), dict(list(value.items())[:-1])))
    return _near_text(str(value), draw)


def _near_text(text: str, draw: Random) -> str:
    if len(text) > 40 and draw.random() < 0.8:
        inside = _in_compressed(text, draw)
        if inside:
            return inside
    at = draw.randrange(len(text) + 1)
    digits = "0123456789abcdefpx.-+" if _HEX.match(text) else "aZ0 /*-+.:=\u0301\n\x1b"
    return draw.choice(
        (text[:at], text[:at] + draw.choice(digits) + text[at:], text[:at] + text[at + 1 :], text.upper())
    )


def _in_compressed(text: str, draw: Random) -> str:
    """Change what a text has in base64, and compressed with zlib; empty where it has nothing."""
    try:
        data = zlib.decompress(base64.b64decode(text, validate=True))
    except (ValueError, zlib.error):
        return ""
    return base64.b64encode(zlib.compress(of_bytes(data, draw))).decode("ascii")


def of_frames(data: bytes, draw: Random) -> bytes:
    """Change a frame of the wire: its JSON text, its bytes, its lengths, or its place among the others."""
    frames = list(_frames(data))
    if not frames:
        return of_bytes(data, draw)
    # The first ones are greetings, of which there is one each.
    at = draw.randrange(min(3, len(frames))) if draw.random() < 0.5 else draw.randrange(len(frames))
    text, blob = frames[at]
    kind = draw.randrange(8)
    if kind == 0:
        frames.insert(draw.randrange(len(frames)), frames.pop(at))
    elif kind == 1:
        frames.insert(draw.randrange(len(frames)), (text, blob))
    elif kind == 2:
        del frames[at]
    elif kind == 3:
        frames[at] = (text, of_bytes(blob, draw))
    else:
        frames[at] = (of_json(text, draw), blob)
    return b"".join(MAGIC + _LENGTHS.pack(len(text), len(blob)) + text + blob for text, blob in frames)


def _frames(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = data.find(MAGIC)
    while 0 <= at <= len(data) - HEAD:
        n, m = _LENGTHS.unpack(data[at + len(MAGIC) : at + HEAD])
        yield data[at + HEAD : at + HEAD + n], data[at + HEAD + n : at + HEAD + n + m]
        at += HEAD + n + m


def compressed(inside: Change) -> Change:
    """Change what a gzip file holds."""

    def change(data: bytes, draw: Random) -> bytes:
        try:
            return gzip.compress(inside(gzip.decompress(data), draw), 1, mtime=0)
        except (OSError, EOFError, zlib.error):
            return of_bytes(data, draw)

    return change


def of_tar(inside: Change) -> Change:
    """Change a file of a compressed tar archive, its name, or what it is."""

    def change(data: bytes, draw: Random) -> bytes:
        new = io.BytesIO()
        try:
            with (
                tarfile.open(fileobj=io.BytesIO(data)) as old,
                tarfile.open(fileobj=new, mode="w:gz", compresslevel=1) as tar,
            ):
                members = old.getmembers()
                chosen = draw.randrange(len(members))
                for n, member in enumerate(members):
                    file = old.extractfile(member)
                    held = file.read() if file else b""
                    if n == chosen:
                        held = _as_member(member, held, inside, draw)
                    member.size = len(held)
                    tar.addfile(member, io.BytesIO(held))
        except (OSError, KeyError, tarfile.TarError, EOFError, zlib.error, ValueError):
            return of_bytes(data, draw)
        return new.getvalue()

    return change


def _as_member(member: tarfile.TarInfo, held: bytes, inside: Change, draw: Random) -> bytes:
    kind = draw.randrange(4)
    if kind == 0:
        member.name = draw.choice(("../x", "/x", "a" * 300, "x.answers", ".", f"{member.name}/x"))
    elif kind == 1:
        member.type = draw.choice(
            (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
        )
        member.linkname = draw.choice(("/etc/passwd", "../../x", "."))
        return b""
    else:
        return inside(held, draw)
    return held


def mutated(data: bytes, changes: tuple[Change, ...], draw: Random) -> bytes:
    """A file with some mutations, most often one. Half of them are of its bytes and lines."""
    for _ in range(draw.choice((1, 1, 1, 1, 2, 2, 3, 4))):
        data = (
            draw.choice(changes)(data, draw) if draw.random() < 0.6 else draw.choice((of_bytes, of_lines))(data, draw)
        )
    return data
