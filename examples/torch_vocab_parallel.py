"""A vocabulary-parallel cross-entropy: each of two processes has half of the classes; together they are judged as one
function."""

import multiprocessing
import os
import tempfile

import torch
import torch.distributed as dist

from lossproof import check_implementation

WORLD = 2


def rank_loss(logits, labels, first):
    """Return row losses, and their gradient with respect to this rank's logits; ``first`` is the first class of it.

    All-reduced are the maximum, the logit of the label, which one rank has, and the sum of the exponentials.
    """
    top = logits.amax(1)
    dist.all_reduce(top, op=dist.ReduceOp.MAX)
    e = (logits - top[:, None]).exp()
    here = (labels >= first) & (labels < first + logits.shape[1])
    column = torch.where(here, labels - first, 0)[:, None]
    label_logit = torch.where(here, (logits - top[:, None]).gather(1, column)[:, 0], 0)
    dist.all_reduce(label_logit)
    total = e.sum(1)
    dist.all_reduce(total)
    return total.log() - label_logit, (e / total[:, None]).scatter_add(1, column, -here[:, None].to(e.dtype))


def serve(rank, file, pipe, loss):
    """Answer with losses and gradient until None comes."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=WORLD)
    while (asked := pipe.recv()) is not None:
        loss_of_rows, grad = loss(*(torch.from_numpy(a) for a in asked[:2]), asked[2])
        pipe.send((loss_of_rows.numpy(), grad.numpy()))
    dist.destroy_process_group()


class Ranks:
    """The processes, started once, and a function that puts logits to them."""

    def __init__(self, loss=rank_loss):
        spawn = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory()
        pairs = [spawn.Pipe() for _ in range(WORLD)]
        self._pipes = [mine for mine, _ in pairs]
        for rank, (_, theirs) in enumerate(pairs):
            given = (rank, f"{self._folder.name}/store", theirs, loss)
            spawn.Process(target=serve, args=given, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pipe in self._pipes:
            pipe.send(None)

    def rows(self, logits, labels):
        """Return row losses and their gradient with respect to all logits."""
        # Ranks have as many classes each: the vocabulary is padded, and what is padded takes no part.
        k = logits.shape[1]
        padded = torch.nn.functional.pad(logits.detach(), (0, -k % WORLD), value=-torch.inf)
        first = 0
        for pipe, part in zip(self._pipes, padded.chunk(WORLD, dim=1), strict=True):
            pipe.send((part.contiguous().numpy(), labels.contiguous().numpy(), first))
            first += part.shape[1]
        answers = [pipe.recv() for pipe in self._pipes]
        return torch.from_numpy(answers[0][0]), torch.cat([torch.from_numpy(g) for _, g in answers], dim=1)[:, :k]

    def __call__(self, logits, labels, reduction="mean"):
        """Return the loss."""
        rows = Joined.apply(logits, labels, self)
        return rows if reduction == "none" else rows.mean() if reduction == "mean" else rows.sum()


class Joined(torch.autograd.Function):
    """The ranks as one function that can be differentiated."""

    @staticmethod
    def forward(ctx, logits, labels, ranks):
        """Return the loss of each row."""
        rows, grad = ranks.rows(logits, labels)
        ctx.save_for_backward(grad)
        return rows

    @staticmethod
    def backward(ctx, upstream):
        """Return the gradient."""
        return ctx.saved_tensors[0] * upstream[:, None], None, None


ASKED = {"ranks": (2,), "targets": ("index",), "dtypes": ("float32",), "deck": "smoke", "errors": False}

if __name__ == "__main__":
    with Ranks() as ranks:
        print(check_implementation(ranks, op="cross_entropy", framework="torch", **ASKED))
