"""A kind of sweep says what is swept, and divides it: into bins, one of which a call asks, and these into chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lossproof.core.call import Call

_SIGN = "-"
_SMALLEST, _WORST = "smallest-", "worst-"


@dataclass(frozen=True, kw_only=True)
class SweepKind:
    """A kind of sweep.

    ``name``      what it is called on the command line and in ids
    ``says``      what it asks, in a sentence
    ``dtypes``    the dtypes that it has
    ``bins``      the number of bins of a dtype
    ``together``  the number of bins in a chunk of a dtype
    ``make``      makes the calls of an op, a dtype and a bin: the same ones each time
    ``span``      the least and the largest input of a bin of a dtype, of those that are finite; the same twice for none
    ``swept``     what inputs are called on an axis
    ``inputs``    the number of inputs that a bin of a dtype stands for
    ``generations`` how often the worst calls of a bin are changed and asked again
    """

    name: str
    says: str
    dtypes: tuple[str, ...]
    bins: Callable[[str], int]
    together: Callable[[str], int]
    make: Callable[[str, str, int], Iterable[Call]]
    span: Callable[[str, int], tuple[float, float]]
    swept: str
    inputs: Callable[[str], int]
    generations: int = 0

    def chunks(self, dtype: str) -> int:
        """The number of chunks of a dtype."""
        return -(-self.bins(dtype) // self.together(dtype))

    def bins_of(self, dtype: str, chunk: int) -> range:
        """The bins of a chunk."""
        each = self.together(dtype)
        return range(chunk * each, min((chunk + 1) * each, self.bins(dtype)))


def family_of(kind: str, bin: int) -> str:
    """The family of the calls of a bin, which names the kind of sweep, too."""
    return f"{kind}{_SIGN}{bin}"


def smallest_family(family: str) -> str:
    """The family of calls of some rows of a bin, by the family of the bin."""
    return _SMALLEST + family


def worst_family(kind: str, bin: int) -> str:
    """The family of calls that a search from those of a bin found."""
    return _WORST + family_of(kind, bin)


def is_smallest(family: str) -> bool:
    """Say whether calls of a family have some rows of a bin, and not all of them."""
    return family.startswith(_SMALLEST)


def is_worst(family: str) -> bool:
    """Say whether calls of a family were found by a search."""
    return family.startswith(_WORST)


def parted(family: str) -> tuple[str, int] | None:
    """The name of a kind and the number of a bin, of which a family is, has some rows or was found from; None for a
    family that is of no sweep."""
    name, _, number = family.removeprefix(_SMALLEST).removeprefix(_WORST).rpartition(_SIGN)
    return (name, int(number)) if name and number.isdecimal() else None
