"""The JSON schema of the frames between engine and worker, made from the classes that travel in them.

``python -m tests.support.wire_schema`` writes docs/adapter-protocol.schema.json.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from lossproof.adapters import wire
from lossproof.adapters.protocol import (
    ARRAYS,
    DTYPES,
    ERROR_KINDS,
    LAYOUTS,
    MEANS,
    OPS,
    OUTPUTS,
    REDUCTIONS,
    Capabilities,
    Description,
    Outcome,
    Problem,
    Support,
    Tensor,
)

FILE = Path(__file__).resolve().parents[2] / "docs" / "adapter-protocol.schema.json"
Schema = dict[str, Any]
_CLASSES = (Capabilities, Description, Outcome, Problem, Support, Tensor)
_HEX = r"^(-?0x[01]\.[0-9a-f]+p[+-][0-9]+|-?inf|nan)$"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _one_of(*words: str) -> Schema:
    return {"enum": list(words)}


def _object(key: str, value: Schema, **others: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {key: value, **others},
        "required": [key, *others],
        "additionalProperties": False,
    }


def _tuple_of(item: Schema) -> Schema:
    return _object("tuple", {"type": "array", "items": item})


def _pair(key: Schema, value: Schema) -> Schema:
    return {"type": "array", "prefixItems": [key, value], "items": False, "minItems": 2}


def _map_of(key: Schema, value: Schema) -> Schema:
    return _object("map", {"type": "array", "items": _pair(key, value)})


# Fields whose texts are words of the protocol.
_WORDS: Mapping[tuple[type, str], Schema] = {
    (Problem, "op"): _one_of(*OPS),
    (Problem, "dtype"): _one_of(*DTYPES),
    (Problem, "out_dtype"): _one_of(*DTYPES, None),  # type: ignore[arg-type]
    (Problem, "layout"): _one_of(*LAYOUTS),
    (Problem, "laid"): _one_of("", *ARRAYS),
    (Support, "how"): _one_of("native", "composed"),
    (Support, "targets"): _tuple_of(_one_of("index", "probability")),
    (Outcome, "error"): _one_of(*ERROR_KINDS, "crash", "timeout", None),  # type: ignore[arg-type]
    (Capabilities, "ops"): _map_of(_one_of(*OPS), _ref("Support")),
    (Capabilities, "dtypes"): _tuple_of(_one_of(*DTYPES)),
    (Capabilities, "outputs"): _tuple_of(_one_of(*OUTPUTS)),
    (Capabilities, "layouts"): _tuple_of(_one_of(*LAYOUTS)),
    (Capabilities, "laid"): _tuple_of(_one_of(*ARRAYS)),
    (Capabilities, "out_dtypes"): _tuple_of(_one_of(*OPS)),
    (Capabilities, "omits"): _tuple_of(_one_of(*OPS)),
    (Capabilities, "scales"): _tuple_of(_one_of(*OPS)),
    (Capabilities, "reductions"): _tuple_of(_one_of(*REDUCTIONS)),
    (Capabilities, "mean"): _one_of(*MEANS),
    (Capabilities, "compile_cost"): _one_of("none", "cheap", "dear"),
}


def _typed(hint: Any) -> Schema:
    """The encoding of a value of a type."""
    simple = {str: "string", bool: "boolean", int: "integer", type(None): "null"}
    if hint in simple:
        return {"type": simple[hint]}
    if hint is float:
        return _ref("float")
    if hint is np.ndarray:
        return _ref("array")
    if hint in _CLASSES:
        return _ref(hint.__name__)
    if hint is Any:
        return _ref("value")
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_typed(a) for a in arguments]}
    if origin is tuple and arguments[-1] is Ellipsis:
        return _tuple_of(_typed(arguments[0]))
    if origin is tuple:
        items = [_typed(a) for a in arguments]
        return _object("tuple", {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)})
    # sanity check: nothing else travels
    assert issubclass(origin, Mapping), hint
    return _map_of(*map(_typed, arguments))


def _class(kind: type) -> Schema:
    hints = get_type_hints(kind)
    properties: dict[str, Schema] = {}
    for f in fields(kind):
        properties[f.name] = dict(_WORDS.get((kind, f.name)) or _typed(hints[f.name]))
        if f.default is not MISSING:
            properties[f.name]["default"] = wire._encode(f.default, [])
    required = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    inner = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return _object("is", {"const": kind.__name__}, fields=inner)


_TEXT, _NUMBER, _TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_TEXTS = _map_of(_TEXT, _TEXT)
# Of each message, by kind and sender: the fields that it must have, and those that it may.
MESSAGES: Mapping[str, tuple[str, str, Mapping[str, Schema], Mapping[str, Schema]]] = {
    "hello": (
        "hello",
        "worker: the first message, when it is ready",
        {
            "wire": {"const": wire.VERSION},
            "adapter": _TEXT,
            "mode": _TEXT,
            "device": _TEXT,
            "description": _ref("Description"),
            "capabilities": _ref("Capabilities"),
        },
        {"python": _TEXT, "numpy": _TEXT, "threads": _TEXTS, "variables": _TEXTS, "pid": _NUMBER},
    ),
    "failed": ("failed", "worker: in the place of a hello", {"message": _TEXT}, {"missing": _TEXT}),
    "evaluate": (
        "evaluate",
        "engine: a problem",
        {"id": _NUMBER, "problem": _ref("Problem")},
        {
            "watch": _TRUTH,
            "alone": _one_of("", *OUTPUTS),
            "limit": _ref("float"),
            "tier": _one_of("core", "full", "spare", "free"),
        },
    ),
    "outcome": ("outcome", "worker: the answer to a problem", {"id": _NUMBER, "outcome": _ref("Outcome")}, {}),
    "withheld": ("withheld", "worker: a problem is not worth its compilation", {"id": _NUMBER}, {}),
    "again": ("again", "worker: a process before this one has ended during a problem", {"id": _NUMBER}, {}),
    "script request": ("script", "engine: a program is wanted", {"problem": _ref("Problem")}, {}),
    "script": ("script", "worker: the program, or why there is none", {"text": _TEXT, "error": _TEXT}, {}),
    "times request": (
        "times",
        "engine: seconds of a kernel are wanted",
        {"op": _one_of(*OPS), "dtype": _one_of(*DTYPES), "rows": _NUMBER, "classes": _NUMBER},
        {},
    ),
    "times": (
        "times",
        "worker: seconds by name, or why there are none",
        {"times": _map_of(_TEXT, _ref("float")), "error": _TEXT},
        {},
    ),
    "deck": (
        "deck",
        "a file of requests begins with it; the worker repeats it",
        {"suite": _TEXT, "version": _NUMBER, "digest": _TEXT, "requests": _NUMBER, "arguments": _ref("value")},
        {},
    ),
    "bye": ("bye", "engine: the last message; the worker repeats it and ends", {}, {}),
}


def _message(kind: str, about: str, required: Mapping[str, Schema], optional: Mapping[str, Schema]) -> Schema:
    every = {"kind": {"const": kind}, **required, **optional}
    there = [
        {"contains": _pair({"const": name}, schema)} for name, schema in {"kind": every["kind"], **required}.items()
    ]
    items = {"anyOf": [_pair({"const": name}, schema) for name, schema in every.items()]}
    return {"description": about, **_object("map", {"type": "array", "items": items, "allOf": there})}


def schema() -> Schema:
    """The schema of the JSON text of a frame."""
    messages = {f"message_{name.replace(chr(32), chr(95))}": _message(*message) for name, message in MESSAGES.items()}
    scalars: list[Schema] = [{"type": kind} for kind in ("null", "boolean", "string", "integer")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"The text of a frame between lossproof and an adapter, version {wire.VERSION}",
        "description": "docs/adapter-protocol.md says what the messages mean, and in which order they come.",
        "anyOf": [_ref(name) for name in messages],
        "$defs": {
            **messages,
            **{kind.__name__: _class(kind) for kind in _CLASSES},
            "float": {
                "description": "a float64 in hexadecimal, or where it is finite and a worker's, a JSON number",
                "anyOf": [_object("float", {"type": "string", "pattern": _HEX}), {"type": "number"}],
            },
            "array": {
                "description": "its bytes lie in the second part of the frame, in the order of the text",
                **_object(
                    "array",
                    {
                        "description": "byte order, kind, bytes an entry",
                        "type": "string",
                        "pattern": "^[<>|][fiub][1248]$",
                    },
                    shape={"type": "array", "items": {"type": "integer", "minimum": 0}},
                    size={"type": "integer", "minimum": 0},
                ),
            },
            "value": {
                "anyOf": [
                    *scalars,
                    *map(_ref, ("float", "array")),
                    {"type": "array", "items": _ref("value")},
                    _tuple_of(_ref("value")),
                    _map_of(_ref("value"), _ref("value")),
                    *(_ref(kind.__name__) for kind in _CLASSES),
                ]
            },
        },
    }


def text() -> str:
    """The file."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
