"""Replacements by patterns that can match once, and by those that only look so."""

import pytest

from ecw_pipeline.sql_on_fhir.compiler import run_view


@pytest.mark.parametrize(
    ("text", "pattern", "new", "expected"),
    [
        ("aXa", "^a", "_", "_Xa"),
        ("aXa", "a$", "_", "aX_"),
        ("aXa", "^*a", "_", "_X_"),
        ("aXa", "^{0}a", "_", "_X_"),
        ("aXa", "^a|a$", "_", "_X_"),
        ("aXa", "a", "_", "_X_"),
        ("aXb", "(a)X(b)$", "$2$1", "ba"),
        ("aXa", "^a", "$٣", "$٣Xa"),
    ],
)
def test_every_match_is_replaced(text: str, pattern: str, new: str, expected: str) -> None:
    path = f"gender.replaceMatches('{pattern}', '{new}')"
    column = {"name": "found", "path": path}
    view = {"name": "t", "resource": "Patient", "select": [{"column": [column]}]}

    rows = run_view(view, [{"resourceType": "Patient", "id": "p", "gender": text}]).rows

    assert rows == [{"found": expected}]
