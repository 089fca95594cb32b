"""Sweeps: every input of a kind is asked, in chunks that their numbers make again."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from lossproof.adapters.protocol import OPS
from lossproof.cases.shard import Shard
from lossproof.cases.sweeps.chunks import KINDS, Chunk, Part, bin_of, chunk_of, outputs_of, parse_range, swept_call
from lossproof.cases.sweeps.gaps import GAPS16, GAPS32, gap_class
from lossproof.cases.sweeps.kind import smallest_family
from lossproof.cases.sweeps.logit_pairs import PAIRS16
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.operations import validate
from tests.support.thinned import WHOLE, nightly, thinned

# Each format with one of the ops: cross-entropy has two kinds of targets, the others are asked what softmax is.
DAILY = {("softmax", "float16"), ("cross_entropy", "bfloat16")}


@pytest.mark.parametrize(
    ("op", "dtype"),
    [pytest.param(*pair, marks=() if pair in DAILY else nightly) for pair in product(OPS, GAPS16.dtypes)],
)
def test_every_number_of_16_bits_is_a_gap_of_two_and_of_three_classes(op: str, dtype: str) -> None:
    asked: dict[tuple[int, bool], list[float]] = {}
    for number in range(GAPS16.chunks(dtype)):
        for call in Chunk("gaps16", op, dtype, number).calls():
            x = call.problem.x
            gaps = x[:, gap_class(x.shape[1])]
            assert not np.delete(x, gap_class(x.shape[1]), axis=1).any()
            asked.setdefault((x.shape[1], call.problem.has_probability_target), []).extend(gaps.tolist())
    every = FORMATS[dtype].of_bits(np.arange(1 << 16, dtype=np.uint64))
    assert len(asked) == (4 if op == "cross_entropy" else 2)
    for several in asked.values():
        finite = [value.hex() for value in several if np.isfinite(value)]
        assert Counter(finite) == Counter(float(value).hex() for value in every[np.isfinite(every)])
        assert {np.inf, -np.inf} < set(several)
        assert np.isnan(several).any()


@pytest.mark.parametrize("kind", KINDS)
def test_calls_are_valid_and_made_again_by_number_and_by_id(kind: str) -> None:
    dtype = KINDS[kind].dtypes[-1]
    last = KINDS[kind].bins(dtype) - 1
    for op in thinned(OPS, to=4):
        for bin in (1, last) if WHOLE else (last,):
            for call in thinned(KINDS[kind].make(op, dtype, bin), to=5):
                validate(call.problem)
                again = swept_call(call.id)
                assert again is not None
                assert again.content == call.content
                assert bin_of(call.case) == (KINDS[kind], bin)


def test_what_is_of_no_sweep_is_not_made() -> None:
    (call, *_) = GAPS16.make("softmax", "float16", 3)
    for id in (
        "softmax/float16/ordinary/n2-k4/00000000",
        "softmax/float32/gaps16-3/n1024-k2-t/00000000",
        "softmax/float16/gaps16-64/n1024-k2-t/00000000",
        call.id[:-8] + "00000000",
        call.id.replace("gaps16", smallest_family("gaps16")),
        "no id",
    ):
        assert swept_call(id) is None, id
    # What was found in a bin is of its chunk.
    assert chunk_of(call.case) == Chunk("gaps16", "softmax", "float16", 0)


def test_numbers_of_outputs_are_known_before_anything_is_drawn() -> None:
    chunks = Part(kind="gaps16").chunks()
    few = [chunk for chunk in chunks if chunk.dtype == "float16"]
    assert list(outputs_of(few)) == [sum(len(call.outputs) for call in chunk.calls()) for chunk in few]


def test_neighbours_share_a_signature() -> None:
    """What a target compiles is compiled once, and what is judged together comes together."""
    calls = Chunk("gaps16", "cross_entropy", "bfloat16", 0).calls()
    shapes = [(call.outline.x.shape, call.outline.has_probability_target) for call in calls]
    assert len(set(shapes)) == sum(a != b for a, b in zip(shapes, [None, *shapes], strict=False))


def test_bins_of_float32_are_all_of_its_numbers() -> None:
    assert GAPS32.bins("float32") * GAPS32.inputs("float32") == 1 << 32
    assert GAPS32.chunks("float32") == 1 << 12
    (first, *_) = GAPS32.make("softmax", "float32", 127 << 5)
    assert first.problem.x[0].tolist() == [0.0, 1.0]
    assert first.problem.x[1, 1] == np.nextafter(np.float32(1), np.float32(2))
    (nan,) = {call.problem.x.shape[0] for call in GAPS32.make("softmax", "float32", 1023 << 4)}
    assert nan == 1


def test_all_pairs_of_16_bits_are_asked_once() -> None:
    numbers = FORMATS["bfloat16"].of_bits(np.arange(1 << 16, dtype=np.uint64))
    for bin in (0x3F81, 0x7F80, 0x7F81):
        rows = np.concatenate([call.problem.x for call in PAIRS16.make("softmax", "bfloat16", bin)])
        assert np.array_equal(rows[:, 0], np.full(len(rows), numbers[bin]), equal_nan=True)
        second = sorted(value.hex() for value in rows[:, 1].tolist() if np.isfinite(value))
        assert second == sorted(value.hex() for value in numbers[np.isfinite(numbers)].tolist())
        assert np.isnan(rows[:, 1]).sum() == 1
        assert np.isinf(rows[:, 1]).sum() == 2
    # One NaN stands for all.
    (again,) = PAIRS16.make("softmax", "bfloat16", 0x7F82)
    assert len(again.problem.x) == 1


def test_shards_have_every_chunk_once() -> None:
    whole = Part(kind="gaps16", ops=("softmax", "nll_loss")).chunks()
    parts = [Part(kind="gaps16", ops=("softmax", "nll_loss"), shard=Shard(i, 3)).chunks() for i in (1, 2, 3)]
    assert Counter(chunk for part in parts for chunk in part) == Counter(whole)
    assert len(whole) == 2 * 2 * 4
    some = Part(kind="gaps16", dtypes=("float16",), first=1, last=2).chunks()
    assert {chunk.number for chunk in some} == {1, 2}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Part(kind="gaps61"), "did you mean gaps16"),
        (Part(kind="gaps16", ops=("softmx",)), "did you mean softmax"),
        (Part(kind="gaps16", dtypes=("float32",)), "expected one of bfloat16, float16"),
        (Part(kind="gaps16", first=4), "expected numbers from 0 to 3"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused(part: Part, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        part.check()


def test_ranges_are_read() -> None:
    assert parse_range("7") == (7, 7)
    assert parse_range("0-63") == (0, 63)
    for text in ("", "-3", "3-1", "a-b", "1-2-3"):
        with pytest.raises(UsageError, match="cannot read chunks"):
            parse_range(text)
