"""The official SQL on FHIR tests, strictly: typed values, column order, errors with data.

They are read from ``SQL_ON_FHIR_TESTS``, or ``$ECW_SHARED_TESTS/sql-on-fhir``, or
``../shared/sql-on-fhir`` beside the checkout; a checkout without them skips, CI fails.
"""

import json
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.sql_on_fhir.compiler import run_view

# Test title → why it cannot pass yet. Must shrink when one starts to pass.
KNOWN_FAILURES: dict[str, str] = {}


def official_folder() -> Path:
    if given := os.environ.get("SQL_ON_FHIR_TESTS"):
        return Path(given)
    if shared := os.environ.get("ECW_SHARED_TESTS"):
        return Path(shared) / "sql-on-fhir"
    return Path(__file__).parents[3] / "shared" / "sql-on-fhir"


def official_cases() -> list[Any]:
    cases = []
    for path in sorted(official_folder().glob("*.json")):
        suite = json.loads(path.read_text("utf-8"), parse_float=Decimal)
        for case in suite["tests"]:
            name = f"{path.stem}: {case['title']}"
            reason = KNOWN_FAILURES.get(name)
            marks = [pytest.mark.xfail(reason=reason)] if reason else []
            cases.append(pytest.param(suite["resources"], case, id=name, marks=marks))
    return cases


CASES = official_cases()


def test_the_official_tests_are_here() -> None:
    if CASES:
        assert len(CASES) == 148
    elif os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"no official tests in {official_folder()}: CI must run them")
    else:
        pytest.skip(f"no official tests in {official_folder()}: set SQL_ON_FHIR_TESTS")


@pytest.mark.parametrize(("resources", "case"), CASES)
def test_official(resources: list[dict[str, Any]], case: dict[str, Any]) -> None:
    if case.get("expectError"):
        with pytest.raises(UnsupportedViewError):
            run_view(case["view"], resources)
        return
    result = run_view(case["view"], resources)
    if "expectCount" in case:
        assert len(result.rows) == case["expectCount"]
    if "expectColumns" in case:
        assert result.columns == case["expectColumns"]
    if "expect" in case:
        assert Counter(map(typed, result.rows)) == Counter(map(typed, case["expect"]))


def typed(value: Any) -> Any:
    """A value that can be counted, in which ``1``, ``true`` and ``'1'`` differ."""
    if isinstance(value, dict):
        return frozenset((name, typed(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return ("list", *map(typed, value))
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return ("number", Decimal(str(value)))
    return (type(value).__name__, value)
