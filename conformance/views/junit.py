"""The view ``--junit FILE``: JUnit XML, a suite for each target, a case for each of its ops, dtypes and families."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING, Observation
from lossproof.records.waivers import verdict
from lossproof.running.session import Ended

JunitKey = tuple[str, str, str, str]
# Messages that a case has; its text says how many there are.
MESSAGES = 20
_HARNESS = frozenset({"crash", "timeout", "resource", "error"})
# What XML 1.0 cannot hold, however it is escaped.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class JunitCase:
    """A case of a JUnit file: the verdicts, seconds and messages of one op, dtype and family on a target."""

    verdicts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    messages: list[str] = field(default_factory=list)


@dataclass
class JunitView:
    """A view that gathers cases and writes them at the end.

    What fails in a case without making the run fail (an unexpected pass
    outside ``--strict``) is no failure of it; reasons that no case has are a case of their own."""

    path: str
    cases: dict[JunitKey, JunitCase] = field(default_factory=dict)

    def add(self, o: Observation) -> None:
        """Count one observation."""
        case = self.cases.setdefault((o.target, o.case.op, o.case.dtype, o.case.family), JunitCase())
        shown = verdict(o)
        case.verdicts[shown] += 1
        case.seconds += o.seconds
        if shown in FAILING - {"unexpected_pass"} and len(case.messages) < MESSAGES:
            case.messages.append(f"{o.id} {o.output}: {o.message}")

    def close(self, run: Ended) -> None:
        """Write the XML file."""
        text = ET.tostring(self.tree(run), encoding="utf-8", xml_declaration=True)
        try:
            Path(self.path).write_bytes(text)
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror or error}") from None

    def tree(self, run: Ended) -> ET.Element:
        """Build the XML document."""
        root = ET.Element("testsuites", name="lossproof")
        by_target: dict[str, list[tuple[JunitKey, JunitCase]]] = {}
        for key, case in self.cases.items():
            by_target.setdefault(key[0], []).append((key, case))
        for target, several in by_target.items():
            suite = ET.SubElement(root, "testsuite", name=_text(target))
            for (_, op, dtype, family), case in several:
                _case(suite, f"{target}.{op}.{dtype}", family, case)
            _totals(suite)
        if run.reasons or run.facts is None:
            suite = ET.SubElement(root, "testsuite", name="run")
            reasons = JunitCase(messages=[*run.reasons, *([] if run.facts is not None else ["interrupted"])])
            reasons.verdicts["fail"] = len(reasons.messages)
            _case(suite, "lossproof", "run", reasons)
            _totals(suite)
        _totals(root)
        return root


def _case(suite: ET.Element, name: str, family: str, case: JunitCase) -> None:
    element = ET.SubElement(suite, "testcase", classname=_text(name), name=_text(family), time=f"{case.seconds:.3f}")
    bad = {v: n for v, n in case.verdicts.items() if v in FAILING - {"unexpected_pass"}}
    counts = ", ".join(f"{n} {v}" for v, n in sorted(case.verdicts.items()))
    if bad:
        tag = "error" if set(bad) <= _HARNESS else "failure"
        more = sum(bad.values()) - len(case.messages)
        lines = [*case.messages, *([f"... and {more} more"] if more > 0 else [])]
        ET.SubElement(element, tag, type=_text(max(bad, key=lambda v: bad[v])), message=_text(counts)).text = _text(
            "\n".join(lines)
        )
    elif set(case.verdicts) == {"unsupported"}:
        ET.SubElement(element, "skipped", message="outside the declared capabilities")
    else:
        ET.SubElement(element, "system-out").text = counts


def _totals(element: ET.Element) -> None:
    cases = list(element.iter("testcase"))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
    element.set("tests", str(len(cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _text(value: str) -> str:
    return _NO_XML.sub("?", value)
