"""Mutate valid files for every reader and say what became of them; README.md of the tests has more.

``python -m tests.fuzz --inputs 1000000`` reads that many files, several times as many with a function as with a
command, and prints how many were read and how many refused. A file that breaks its reader, or keeps it busy for long,
is kept, once for each place where one breaks, and its traceback is printed; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from time import process_time

from tests.fuzz.mutations import mutated
from tests.fuzz.readers import BrokenReaderError, Reader, readers

# Between the seeds of two readers, and of two runs: more inputs than either has.
_APART = 10**9
# Seconds of processor time that no reader takes for a small file.
LONGEST = 5.0


def fuzz(reader: Reader, folder: Path, inputs: int, start: int) -> tuple[Counter[str], dict[str, tuple[bytes, str]]]:
    """Read so many mutated files, and count what became of them.

    Returns, too, for each place where a reader breaks, the first file that does it and its traceback.
    """
    counts: Counter[str] = Counter()
    broken: dict[str, tuple[bytes, str]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"valid{reader.suffix}").write_bytes(reader.valid if reader.beside is None else reader.beside)
    path = folder / f"mutated{reader.suffix}"
    # sanity check: what is mutated is valid
    path.write_bytes(reader.valid)
    assert reader.read(path) == "read", reader.name
    for number in range(inputs):
        data = mutated(reader.valid, reader.changes, Random(start + number))
        path.write_bytes(data)
        begun = process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = reader.read(path)
            if process_time() - begun > LONGEST:
                raise BrokenReaderError(f"{outcome} after {process_time() - begun:.0f} s")
            counts[outcome] += 1
        except Exception as error:
            counts["broken"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            broken.setdefault(f"{type(error).__name__} at {place.name}", (data, traceback.format_exc()))
    return counts, broken


def main() -> int:
    """Fuzz all readers by turns; the exit code is 1 where one of them breaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="mutated files in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", default="", help="only readers with this in their name")
    parser.add_argument("--keep", type=Path, default=Path("broken"), help="folder for files that break a reader")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        several = [r for r in readers(Path(folder)) if options.reader in r.name]
        shares = sum(r.often for r in several)
        for n, reader in enumerate(several):
            inputs = -(-options.inputs * reader.often // shares)
            begun = process_time()
            counts, broken = fuzz(reader, Path(folder) / str(n), inputs, options.seed * _APART)
            each = (process_time() - begun) / max(inputs, 1) * 1000
            print(f"{reader.name}: {counts['read']} read, {counts['refused']} refused, {each:.2f} ms each", flush=True)
            total += counts
            for place, (data, text) in broken.items():
                options.keep.mkdir(exist_ok=True)
                kept = options.keep / f"{reader.name} {place}{reader.suffix}".replace(" ", "-")
                kept.write_bytes(data)
                print(f"{reader.name} breaks: {place}, see {kept}\n{text}", flush=True)
    print(f"{sum(total.values())} files: {total['read']} read, {total['refused']} refused, {total['broken']} broken")
    return int(total["broken"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
