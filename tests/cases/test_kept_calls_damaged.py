"""A kept call with a field of another type is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.cases.kept_calls import checked_call
from lossproof.core.call import Call
from lossproof.core.errors import UsageError


@pytest.mark.parametrize("axis", [None, "x", [], {}])
def test_a_field_of_another_type_is_refused(axis: object) -> None:
    data = Call(Problem("softmax", "float32", np.array([[0.5, 1.0]])), "hand").to_json()
    assert checked_call(data, "here").family == "hand"
    with pytest.raises(UsageError, match="here: not a call: TypeError"):
        checked_call({**data, "axis": axis}, "here")
