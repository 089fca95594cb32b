"""Old releases that the suite is tried on, and the known bugs that a run of each must report.

``python -m tests.support.old_releases`` prints docs/old-releases.md. The ids of bugs are those of docs/mutants.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lossproof.core.observation import FAILING, Observation


@dataclass(frozen=True)
class Bug:
    """A bug that a release has, and the observations that report it.

    ``cases`` is a glob of call ids. ``shown`` is a convention, ``clause: behaviour``, where the specification allows
    what the release does; otherwise the observations fail.
    """

    id: str
    cases: str
    output: str = "value"
    mode: str = ""
    message: str = ""
    shown: str = ""

    def reported_by(self, o: Observation) -> bool:
        """Whether an observation reports the bug."""
        if o.output != self.output or not fnmatchcase(o.id, self.cases) or self.message not in o.message:
            return False
        if not self.shown:
            return o.verdict in FAILING
        clause, _, behaviour = self.shown.partition(": ")
        return o.conventions.get(clause) == behaviour


@dataclass(frozen=True)
class Release:
    """A release, the Pythons that it installs in, its companions, and its bugs.

    ``other`` says of bugs of that release why no run reports them; ``dtypes`` are those of the run, if not all.
    """

    adapter: str
    version: str
    pythons: tuple[str, ...]
    requirements: tuple[str, ...]
    modes: tuple[str, ...] = ("",)
    dtypes: tuple[str, ...] = ()
    bugs: tuple[Bug, ...] = ()
    other: tuple[tuple[str, str], ...] = ()
    conforms: bool = False

    @property
    def environment(self) -> str:
        """The name of its environment."""
        return f"{self.adapter}-{self.version}"

    def targets(self) -> list[str]:
        """The target strings, one a mode."""
        return [f"{self.adapter}{'+' if mode else ''}{mode}@{self.environment}" for mode in self.modes]

    def options(self) -> list[str]:
        """The options of the run."""
        return [part for dtype in self.dtypes for part in ("--dtype", dtype)]


NUMPY = Release("numpy", "1.19.5", ("3.8", "3.9"), ("numpy==1.19.5",), conforms=True)
TORCH = Release(
    "torch",
    "1.10.2",
    ("3.9", "3.8"),
    ("torch==1.10.2", "numpy<1.24"),
    modes=("", "kernels"),
    bugs=(
        Bug("torch-ls-counts-ignored-rows", "cross_entropy/*/*-none-ls*-ig*"),
        Bug("torch-ls-inrange-ignore-mean-denominator", "cross_entropy/*/n2-k4-mean-ls*-ig[0-3]/*"),
        Bug(
            "torch-ls-weight-ignore-indexerror",
            "cross_entropy/*-mean-ls*-w-ig*",
            message="RuntimeError: index -100 is out of bounds",
        ),
        Bug("torch-nll-negative-weight-zero-grad", "nll_loss/*/*-mean-w*", "vjp", message="vjp got 0 at"),
        Bug("torch-all-ignored-mean-0-but-empty-nan", "cross_entropy/*-mean*-ig*", shown="10: zero"),
        Bug("torch-softmax-out-noncontiguous", "softmax/*-transposed/*", mode="kernels"),
        Bug("torch-softmax-backward-noncontiguous-output", "softmax/*-transposed/*", "vjp", mode="kernels"),
        Bug("tf-dense-xent-neginf-zero-label-nan", "cross_entropy/*/masked/*-q*", shown="6: nan"),
    ),
    other=(
        ("torch-fp16-mean-overflow-nan", "the release has no float16 kernel for CPUs"),
        ("jax-logsumexp-all-neginf-grad-nan", "a row of -inf alone is NaN by clause 3"),
    ),
)
TENSORFLOW = Release(
    "tensorflow",
    "2.2.0",
    ("3.8",),
    ("tensorflow-cpu==2.2.0", "protobuf<3.21", "numpy==1.18.5"),
    modes=("", "xla", "keras", "forward-over-reverse"),
    # The release has no bfloat16 kernels for CPUs. Losses in float16 end XLA's process: those calls are crashes.
    dtypes=("float32", "float16"),
    bugs=(
        Bug("tf-dense-xent-neginf-zero-label-nan", "cross_entropy/*/masked/*-q*", shown="6: nan"),
        Bug("tf-xent-unnormalised-labels-gradient", "cross_entropy/*-q*", "vjp", shown="3: p - w q'"),
        Bug("tf-xla-sparse-xent-neginf-nan", "cross_entropy/*/masked/*", mode="xla", message="value got nan"),
        Bug("tf-xla-oob-label-nan", "cross_entropy/*/error/13-*", mode="xla", shown="13: nan"),
        Bug("tf-keras-sparse-labels-cast-to-half", "cross_entropy/float16/*/n1-k70000-*", mode="keras"),
        Bug(
            "tf-xent-hypergradient-wrt-labels-zero",
            "cross_entropy/*-none-q-m/*",
            "mixed",
            "forward-over-reverse",
            message="mixed got",
        ),
    ),
    other=(("keras-cce-probs-clipped-1e-7", "cross-entropy of probabilities in place of logits is no operation here"),),
)
JAX = Release(
    "jax",
    "0.4.23",
    ("3.9",),
    ("jax==0.4.23", "jaxlib==0.4.23", "scipy<1.13"),
    modes=("", "where"),
    dtypes=("float64", "float32"),
    bugs=(Bug("jax-softmax-where-masked-large-grad-nan", "softmax/*/masked/*", "vjp", "where", "vjp got nan"),),
    other=(("jax-logsumexp-all-neginf-grad-nan", "a row of -inf alone is NaN by clause 3"),),
)
RELEASES = (NUMPY, TORCH, TENSORFLOW, JAX)


def table() -> Iterator[str]:
    """The lines of docs/old-releases.md."""
    yield from (
        "# Old releases",
        "",
        "Generated by `python -m tests.support.old_releases`. The adapters run on old releases, and a run of the",
        "default deck reports those of the [known bugs](mutants.md) that a release has.",
        "`pytest -m old tests/releases/test_old_releases.py` makes the environments and checks that it does.",
    )
    for r in RELEASES:
        python = r.pythons[0]
        requirements = " ".join(f"'{q}'" if "<" in q else q for q in r.requirements)
        yield from ("", f"## {r.adapter} {r.version}", "", "```sh")
        yield f"lossproof env create {r.environment} {requirements} --python {python}"
        yield from (f"lossproof run {' '.join([*r.targets(), *r.options()])}", "```", "")
        if r.conforms:
            yield "Everything passes."
        if r.bugs:
            yield from ("| bug | reported by | as |", "|---|---|---|")
        for bug in r.bugs:
            mode = f", mode `{bug.mode}`" if bug.mode else ""
            clause, _, behaviour = bug.shown.partition(": ")
            how = f"convention of clause {clause}: {behaviour}" if bug.shown else "fail"
            yield f"| {bug.id} | {bug.output} of `{bug.cases}`{mode} | {how} |"
        if r.other:
            yield from ("", "Not reported:", "", *(f"- {name}: {why}" for name, why in r.other))


if __name__ == "__main__":
    print("\n".join(table()))
