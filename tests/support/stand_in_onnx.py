"""A package that stands in for ``onnx`` where its cases are read: the modules of cases, and what they call."""

from __future__ import annotations

from pathlib import Path

VERSION = "9.9.9"
_HELPER = """
def get_attribute_value(a):
    return a.value
"""
_DEFS = """
def onnx_opset_version():
    return 13
"""
_NODE = """
from types import SimpleNamespace

def expect(node_op, inputs, outputs, name, **rest):
    raise AssertionError("the real one makes models")

def node(op_type, **attributes):
    return SimpleNamespace(op_type=op_type, attribute=[SimpleNamespace(name=k, value=v) for k, v in attributes.items()])
"""
_FIRST = """
import numpy as np
from onnx.backend.test.case.node import expect, node
"""
_SOFTMAX = """
x = np.float32([[0, 0], [0, 0]])
half = np.float32([[0.5, 0.5], [0.5, 0.5]])
expect(node("Softmax"), [x], [half], "test_softmax_default")
expect(node("Softmax", axis=-1), [x], [half], "test_softmax_again")
expect(node("Softmax", axis=-1), [x], [half + np.float32(1e-3)], "test_softmax_other_answer")
expect(node("Softmax", axis=0), [x], [half + np.float32(1e-3)], "test_softmax_wrong")
expect(node("Softmax", axis=3), [x], [half], "test_softmax_no_axis")
expect(node("Softmax"), [x.astype(np.int64)], [half], "test_softmax_integers")
"""
_LOSS = """
x, y = np.float32([[0, 0], [0, 0]]), np.array([0, 1])
loss, log = np.float32(np.log(2)), np.float32([[-np.log(2)] * 2] * 2)
expect(node("SoftmaxCrossEntropyLoss", reduction=b"mean"), [x, y], [loss, log], "test_sce")
"""


def write_onnx(folder: Path) -> Path:
    """Write the package into a folder, which is to be put on the path, and return the folder."""
    root = folder / "onnx"
    case = root / "backend" / "test" / "case"
    files = {
        root / "__init__.py": f'from . import defs, helper\n__version__ = "{VERSION}"\n',
        root / "helper.py": _HELPER,
        root / "defs.py": _DEFS,
        root / "backend" / "__init__.py": "",
        root / "backend" / "test" / "__init__.py": "",
        case / "__init__.py": "",
        case / "node" / "__init__.py": _NODE,
        case / "node" / "softmax.py": _FIRST + _SOFTMAX,
        case / "node" / "logsoftmax.py": "",
        case / "node" / "negativeloglikelihoodloss.py": "",
        case / "node" / "softmax_cross_entropy_loss.py": _FIRST + _LOSS,
        folder / f"onnx-{VERSION}.dist-info" / "METADATA": f"Metadata-Version: 2.1\nName: onnx\nVersion: {VERSION}\n",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
