"""Decimals keep their digits."""

from decimal import Decimal

import pytest

from ecw_pipeline.sandbox.json_text import from_line, to_line


@pytest.mark.parametrize("digits", ["7.10", "0.50", "-1.000", "12345678901234567890.12", "1E+3"])
def test_a_decimal_is_written_as_it_was_read(digits: str) -> None:
    line = b'{"value":%s,"text":"\xc5\xa1 \xe8\xa6\x8b"}\n' % digits.encode()

    assert to_line({"value": Decimal(digits), "text": "š 見"}) == line
    assert to_line(from_line(line)) == line


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        to_line({"value": object()})
