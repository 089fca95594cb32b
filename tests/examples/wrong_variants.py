"""Wrong variants of each kernel of ``examples/``: its file with a few lines exchanged, one defect that kernels have had
in each.

``python -m tests.examples.wrong_variants FOLDER EXAMPLE [DECK]`` writes the variants of one example to a folder, runs
each as its reader would, and prints what it prints, as JSON by the name of the defect.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import io
import json
import os
import re
import runpy
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from lossproof.functions import diagnosis

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# What the explanation must say of each defect.
WORDS = {
    "no maximum": "the maximum of the row is not subtracted before exp",
    "gradient of the sum": "lacks the mean's denominator",
    "ignored rows counted": "the mean divides by all rows, the ignored ones counted",
    "last label": "the label of the last class is off by one",
    "smoothing of others": "label smoothing divides eps by K - 1, not by K",
    "overwritten logits": "modified its input x",
    "a maximum of each rank": "the maximum of the whole row is not all-reduced",
}
Change = tuple[str, str]
WHOLE = bool(os.environ.get("LOSSPROOF_ALL_TESTS"))

_UNDIVIDED = """

class Undivided(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows):
        ctx.save_for_backward(rows)
        return rows.mean()

    @staticmethod
    def backward(ctx, upstream):
        return upstream.expand(ctx.saved_tensors[0].shape)


ASKED ="""
_UNDIVIDED_IN_JAX = """
@jax.custom_vjp
def undivided(losses):
    return losses.mean()


undivided.defvjp(lambda losses: (losses.mean(), losses), lambda losses, g: (jnp.full_like(losses, g),))
ASKED ="""


def _tail(rows: str, head: str, module: str = "torch") -> dict[str, tuple[Change, ...]]:
    """The defects of a loss that is made of its rows in a last function: ``rows`` is the line that computes them of
    ``labels``, ``head`` the arguments of that function."""
    name, _, computed = rows.partition(" = ")
    indent = "    " * (2 if "self" in head else 1)
    of = computed.replace("labels", "{}")
    kept = f"kept = labels != ignore_index\n{indent}"
    where = f"{name} = {module}.where(kept, {of.format(f'{module}.where(kept, labels, 0)')}, 0)"
    each = "torch.full_like(labels, j)" if module == "torch" else "jnp.full_like(labels, j)"
    others = f"every = {module}.stack([{of.format(each)} for j in range(logits.shape[1])], 1)\n{indent}"
    hit = f"{module}.arange(logits.shape[1]) == labels[:, None]"
    smooth = f"{module}.where({hit}, 1 - label_smoothing, label_smoothing / max(logits.shape[1] - 1, 1))"
    lowest = "labels.clamp(max=max(logits.shape[1] - 2, 0))"
    if module != "torch":
        lowest = "jnp.minimum(labels, max(logits.shape[1] - 2, 0))"
    return {
        "ignored rows counted": ((head, f"{head}, ignore_index=-100"), (rows, kept + where)),
        "last label": ((rows, f"{name} = {of.format(lowest)}"),),
        "smoothing of others": (
            (head, f"{head}, label_smoothing=0.0"),
            (rows, f"{others}q = {smooth}\n{indent}{name} = {module}.where(q != 0, q * every, 0).sum(1)"),
        ),
    }


_HEAD = 'def cross_entropy(logits, labels, reduction="mean"'
_OF_SUM = (("rows.mean()", "Undivided.apply(rows)"), ("\nASKED =", _UNDIVIDED))
# Of each example, of each defect, what is exchanged: each text is there, and all of its places are.
VARIANTS: dict[str, dict[str, tuple[Change, ...]]] = {
    "numpy_cross_entropy": {
        "no maximum": (("shifted = logits - logits.max(axis=1, keepdims=True)", "shifted = logits"),),
        "gradient of the sum": (('cotangent / kept.sum(dtype=p.dtype) if reduction == "mean" else ', ""),),
        "ignored rows counted": (("kept.sum(dtype=", "np.ones_like(kept).sum(dtype="),),
        "last label": (
            ("np.where(kept, labels, 0)", "np.minimum(np.where(kept, labels, 0), max(logits.shape[1] - 2, 0))"),
        ),
        "smoothing of others": (
            ('ignore_index=-100, reduction="mean"):', 'ignore_index=-100, reduction="mean", label_smoothing=0.0):'),
            (
                "    loss = np.where(kept, log_sum - shifted[rows, np.where(kept, labels, 0)], 0)",
                "    hit = np.arange(logits.shape[1]) == labels[:, None]\n"
                "    q = np.where(hit, 1 - label_smoothing, label_smoothing / max(logits.shape[1] - 1, 1))\n"
                "    each = np.where(q != 0, q * (log_sum[:, None] - shifted), 0)\n"
                "    loss = np.where(kept, each.sum(axis=1), 0).astype(logits.dtype)",
            ),
            (
                "    p[np.arange(len(labels)), np.where(kept, labels, 0)] -= 1",
                "    hit = np.arange(logits.shape[1]) == labels[:, None]\n"
                "    q = np.where(hit, 1 - label_smoothing, label_smoothing / max(logits.shape[1] - 1, 1))\n"
                "    p -= q.astype(p.dtype)",
            ),
        ),
        "overwritten logits": (
            ("e = np.exp(logits - logits.max(axis=1, keepdims=True))\n    p =", "e = logits\n    p ="),
            ("e = logits\n", "e = np.exp(logits - logits.max(axis=1, keepdims=True), out=logits)\n"),
        ),
    },
    "torch_chunked": {
        "no maximum": (
            ("base = torch.where(new.isneginf(), 0, new)", "base = torch.zeros_like(new)"),
            ("top = new", "top = base"),
        ),
        "gradient of the sum": _OF_SUM,
        **_tail("rows = Chunked.apply(logits, labels)", _HEAD),
        "overwritten logits": (("out = torch.empty_like(logits)", "out = logits.data"),),
    },
    "torch_vocab_parallel": {
        "no maximum": (("top = logits.amax(1)", "top = torch.zeros(len(logits))"),),
        "a maximum of each rank": (("    dist.all_reduce(top, op=dist.ReduceOp.MAX)\n", ""),),
        "gradient of the sum": _OF_SUM,
        **_tail("rows = Joined.apply(logits, labels, self)", 'def __call__(self, logits, labels, reduction="mean"'),
        "overwritten logits": (
            ("ctx.save_for_backward(grad)", "ctx.save_for_backward(logits.data.copy_(grad).clone())"),
        ),
    },
    "torch_linear": {
        "no maximum": (
            (
                "return torch.nn.functional.linear_cross_entropy(",
                "z = logits @ identity\n    log_p = z - z.exp().sum(1, keepdim=True).log()\n"
                "    return torch.nn.functional.nll_loss(log_p, labels, reduction=reduction, ignore_index=ignore_index)"
                "\n    return torch.nn.functional.linear_cross_entropy(",
            ),
            ("label_smoothing=0.0, ", ""),
        ),
        "ignored rows counted": (
            (
                "return torch.nn.functional.linear_cross_entropy(",
                "rows = labels.numel() if reduction == 'mean' else 1\n"
                "    reduction = reduction if reduction == 'none' else 'sum'\n"
                "    return 1 / rows * torch.nn.functional.linear_cross_entropy(",
            ),
        ),
        "last label": (
            (
                "logits, identity, labels",
                "logits, identity, torch.where(labels == logits.shape[1] - 1, labels.sub(1).clamp(min=0), labels)",
            ),
        ),
        "smoothing of others": (
            (
                "label_smoothing=label_smoothing",
                "label_smoothing=label_smoothing * logits.shape[1] / max(logits.shape[1] - 1, 1)",
            ),
        ),
    },
    "torch_fused_linear": {
        "no maximum": (("shifted = logits - logits.amax(1, keepdim=True)", "shifted = logits"),),
        "gradient of the sum": (("p / count, 0)", "p, 0)"),),
        "ignored rows counted": (("count = kept.sum()", "count = kept.numel()"),),
        "last label": (
            ("torch.where(keep, label, 0)[:", "torch.where(keep, label, 0).clamp(max=max(logits.shape[1] - 2, 0))[:"),
        ),
        "overwritten logits": (("of_hidden.append(grad @ weight)", "of_hidden.append(some.data.copy_(grad).clone())"),),
    },
    "triton_cross_entropy": {
        "no maximum": (("shifted = x - tl.max(x, axis=0)", "shifted = x"),),
        "gradient of the sum": _OF_SUM,
        **_tail("rows = Rows.apply(logits, labels)", _HEAD),
        "overwritten logits": (("torch.empty_like(logits)", "logits.detach()"),),
    },
    "jax_custom_vjp": {
        "no maximum": (("shifted = logits - logits.max(axis=1, keepdims=True)", "shifted = logits"),),
        "gradient of the sum": (("losses.mean()", "undivided(losses)"), ("\nASKED =", _UNDIVIDED_IN_JAX)),
        **_tail("losses = rows(logits, labels)", _HEAD, "jnp"),
    },
    "keras_loss": {
        "no maximum": (("shifted = y_pred - keras.ops.max(y_pred, axis=-1, keepdims=True)", "shifted = y_pred"),),
        "ignored rows counted": (
            ("return log_sum - label[..., 0]", "return keras.ops.where(kept, log_sum - label[..., 0], 0.0)"),
            (
                "        shifted =",
                "        kept = y_true != -100\n        y_true = keras.ops.where(kept, y_true, 0)\n        shifted =",
            ),
            ("ASKED = {", 'ASKED = {"ignore_index": -100, '),
        ),
        "last label": (
            (
                'keras.ops.cast(y_true, "int32")',
                'keras.ops.minimum(keras.ops.cast(y_true, "int32"), max(y_pred.shape[-1] - 2, 0))',
            ),
        ),
    },
}
# Of Liger's own module, and of the example that calls it.
LIGER: dict[str, tuple[Change, ...]] = {
    "no maximum": (("m_new = tl.maximum(m, block_max)", "m_new = 0.0"),),
    "gradient of the sum": (
        ("X_block = X_block / n_non_ignore", "X_block = X_block"),
        ("dx_y = dx_y / n_non_ignore", "dx_y = dx_y"),
    ),
    "ignored rows counted": (("n_non_ignore = target_mask.sum().item()", "n_non_ignore = target.numel()"),),
    "last label": (
        ("y = tl.load(Y_ptr)", "y = tl.load(Y_ptr)\n    y = tl.where((y == n_cols - 1) & (n_cols > 1), y - 1, y)"),
    ),
    "smoothing of others": (
        (
            "label_smoothing=label_smoothing,\n        reduction",
            "label_smoothing=label_smoothing * V / max(V - 1, 1),\n        reduction",
        ),
    ),
}
_OF_LIGER: dict[str, tuple[Change, ...]] = {"overwritten logits": (("logits.clone()", "logits"),)}
CASES = [
    *((example, defect) for example, defects in VARIANTS.items() for defect in defects),
    *(("liger_cross_entropy", defect) for defect in (*LIGER, *_OF_LIGER)),
]


def changed(text: str, changes: tuple[Change, ...]) -> str:
    """The text with every change made; each is of something that is there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def printed(example: str, defect: str, folder: Path, deck: str) -> str:
    """What the program of a variant prints."""
    text = (EXAMPLES / f"{example}.py").read_text(encoding="utf-8")
    if example == "liger_cross_entropy":
        _patch_liger(LIGER.get(defect, ()), folder / f"liger_{defect.replace(' ', '_')}.py")
        text = changed(text, _OF_LIGER.get(defect, ()))
    else:
        text = changed(text, VARIANTS[example][defect])
    if deck != "smoke":
        text = changed(text, (('"deck": "smoke"', f'"deck": "{deck}", "max_classes": 64'),))
    elif not WHOLE:
        # A defect is one in each dtype.
        text = re.sub(r'"dtypes": \("float32", [^)]*\)', '"dtypes": ("float32",)', text)
    # The ranks of every variant would import the framework again.
    text = text.replace('get_context("spawn")', 'get_context("fork")')
    path = folder / f"{example}_{defect.replace(' ', '_')}.py"
    path.write_text(text, encoding="utf-8")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(path), run_name="__main__")
    return out.getvalue()


class _Patched(importlib.abc.MetaPathFinder):
    """Finds a file in the place of that with Liger's kernel."""

    name, path = "liger_kernel.ops.cross_entropy", ""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path) if name == self.name else None


_PATCHED = _Patched()


def _patch_liger(changes: tuple[Change, ...], path: Path) -> None:
    """Put another file in the place of Liger's own, for all that is imported from now on."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "liger_kernel"]:
        del sys.modules[name]
    found = importlib.util.find_spec("liger_kernel")
    # sanity check: Liger is installed
    assert found is not None
    assert found.origin is not None
    text = (Path(found.origin).parent / "ops" / "cross_entropy.py").read_text(encoding="utf-8")
    path.write_text(changed(text, changes), encoding="utf-8")
    _PATCHED.path = str(path)
    if _PATCHED not in sys.meta_path:
        sys.meta_path.insert(0, _PATCHED)


def main(folder: str, example: str, deck: str = "smoke") -> None:
    """Print what all variants of an example print."""
    if not WHOLE:
        # A mechanism is known before the smallest input is looked for that shows it.
        diagnosis._BUDGETS["none"] = 2
    os.environ |= {"TRITON_INTERPRET": "1", "KERAS_BACKEND": "torch", "JAX_PLATFORMS": "cpu"}
    sys.path.insert(0, folder)
    found = {defect: printed(example, defect, Path(folder), deck) for name, defect in CASES if name == example}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
