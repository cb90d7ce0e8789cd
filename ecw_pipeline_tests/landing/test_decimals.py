"""Decimals keep their text, and nothing else of a line changes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecw_pipeline.fhir.structure import decimal_keys
from ecw_pipeline.landing.decimals import quote_decimals

TRICKY = ['"value":5', '\\"value\\":5', '"value": 1.10', "value", '":1', "\\", '"', '" :-1e5,"']
TEXTS = st.text() | st.lists(st.sampled_from(TRICKY)).map("".join)
KEYS = TEXTS | st.sampled_from([*sorted(decimal_keys()), "count", "start"])
NUMBERS = st.one_of(
    st.integers(),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


class Number(str):
    """A number as its text."""


def written(value: Any, space: Callable[[], str]) -> str:
    """JSON with the given white space between its parts."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        parts = [f"{json.dumps(k)}{space()}:{space()}{written(v, space)}" for k, v in value.items()]
        return "{" + space() + f"{space()},{space()}".join(parts) + space() + "}"
    if isinstance(value, list):
        parts = [written(v, space) for v in value]
        return "[" + space() + f"{space()},{space()}".join(parts) + space() + "]"
    return json.dumps(value, ensure_ascii=False)


def expected(value: Any) -> Any:
    """What must be read afterwards: numbers as text, those of decimal keys as strings."""
    if isinstance(value, dict):
        return {
            k: str(v) if isinstance(v, Number) and k in decimal_keys() else expected(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [expected(v) for v in value]
    return ("number", str(value)) if isinstance(value, Number) else value


def read(line: bytes) -> Any:
    def number(text: str) -> tuple[str, str]:
        return ("number", text)

    return json.loads(line, parse_int=number, parse_float=number)


VALUES = st.recursive(
    TEXTS | NUMBERS.map(lambda n: Number(n)) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SPACES = st.lists(st.sampled_from(["", "", " ", "  ", "\t", "\r", " \t "]), min_size=1, max_size=7)


@given(st.dictionaries(KEYS, VALUES, max_size=6), SPACES)
@example({'a"value': Number("5")}, [""])
@example({"value": Number("1.10")}, ["  "])
@example({"value": Number("1.10")}, ["\r"])
@example({"text": '\\"value\\":5', "value": Number("-0.0")}, [""])
def test_numbers_of_decimal_keys_become_their_text_and_nothing_else_changes(
    resource: dict[str, Any], spaces: list[str]
) -> None:
    turn = iter(spaces * 10_000)
    line = written(resource, lambda: next(turn)).encode("utf-8", errors="surrogatepass")

    assert read(quote_decimals(line)) == expected(resource)


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        (b'{"value":1.10}', b'{"value":"1.10"}'),
        (b'{"value": 1.10}', b'{"value":"1.10"}'),
        (b'{"value" :1.10}', b'{"value":"1.10"}'),
        (b'{"value":1.10}\n{"value":2.0}\n', b'{"value":"1.10"}\n{"value":"2.0"}\n'),
        (b'{"ecw_line":7,"value":1}', b'{"ecw_line":7,"value":"1"}'),
        (b'{"value":12345678901234567890.5}', b'{"value":"12345678901234567890.5"}'),
        (b'{"value":-1E+2}', b'{"value":"-1E+2"}'),
        (b'{"count":1.10}', b'{"count":1.10}'),
        (b'{"value":"1.10"}', b'{"value":"1.10"}'),
        (b'{"valueString":"\\"value\\":5"}', b'{"valueString":"\\"value\\":5"}'),
    ],
)
def test_a_line_with_one_number(line: bytes, quoted: bytes) -> None:
    assert quote_decimals(line) == quoted


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_quoting_twice_is_quoting_once(resource: dict[str, Any]) -> None:
    line = written(resource, lambda: " ").encode("utf-8", errors="surrogatepass")
    once = quote_decimals(line)

    assert quote_decimals(once) == once
