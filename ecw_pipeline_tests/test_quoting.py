"""Text enters SQL by two doors."""

from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.quoting import identifier, literal

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(TEXT)
@example("it's '' -- \\' ; DROP TABLE x")
def test_any_text_survives_literal(text: str) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {literal(text)}").fetchone() == (text,)


@given(TEXT.filter(bool))
@example('a"b""c')
def test_any_name_survives_identifier(text: str) -> None:
    with duckdb.connect() as connection:
        cursor = connection.execute(f"SELECT 1 AS {identifier(text)}")
        description: Any = cursor.description
        assert description[0][0] == text


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfff"])
def test_a_text_that_sql_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedViewError, match="cannot be written"):
        literal(text)


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\ud800"])
def test_a_name_that_sql_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedViewError, match="SQL"):
        identifier(text)
