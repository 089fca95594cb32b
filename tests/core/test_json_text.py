"""What is read as JSON can be printed and written again."""

from __future__ import annotations

import re

import pytest

from lossproof.core.json_text import parsed_json, whole_text


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00 \\\\ud800"', '["é\\uDBFF\\uDFFF"]', "3", b'{"\xc3\xa9": 1e999}'])
def test_texts_of_characters_are_read(text: str | bytes) -> None:
    assert repr(parsed_json(text)).encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"\\ud800"', "'\\ud800', which is half of a surrogate pair"),
        ('{"a": [{"\\uDFFF": 1}]}', "'\\udfff', which is half"),
        ('"\\ude00\\ud83d"', "'\\ude00', which is half"),
        ('"\udcff"', "'\\udcff', which is half"),
        (b'"\xed\xa0\x80"', "can't decode"),
        ("[" * 100_000, "nested too deeply"),
        ("[1,]", "line 1 column"),
    ],
)
def test_what_is_none_is_refused_in_one_line(text: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        parsed_json(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "whole"), [("\ud800é\udcff", "\\ud800é\\udcff"), ("\U0001f600\\ud800", "\U0001f600\\ud800"), ("a", "a")]
)
def test_only_halves_of_pairs_are_escaped(text: str, whole: str) -> None:
    assert whole_text(text) == whole
    assert whole.encode()
