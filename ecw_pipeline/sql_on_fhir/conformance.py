"""The official SQL on FHIR tests, run strictly: typed values, column order, errors with data.

Source: SQL on FHIR 2.0, "Testing"; `tests.schema.json` and `test-report.schema.json` beside it.
"""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import BadDataError, UnsupportedViewError
from ecw_pipeline.files import read_json
from ecw_pipeline.sql_on_fhir.compiler import ViewResult, run_view

Row = Mapping[str, Any]

_EXPECTATIONS = ("expect", "expectCount", "expectColumns", "expectError")
_EXCERPT_CHARACTERS = 300


@dataclass(frozen=True)
class Suite:
    """One test file: its resources, of any types, and the tests on them."""

    file_name: str
    resources: list[dict[str, Any]]
    tests: list[dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """How one test ended; ``failure`` is empty where it passed."""

    title: str
    failure: str


def official_folder(environment: Mapping[str, str]) -> Path:
    """Where the official tests are: as the environment says, else beside the checkout."""
    if given := environment.get("SQL_ON_FHIR_TESTS"):
        return Path(given)
    shared = environment.get("ECW_SHARED_TESTS") or Path(__file__).parents[3] / "shared"
    return Path(shared) / "sql-on-fhir"


def read_suites(folder: Path) -> list[Suite]:
    """The test files of a folder, in the order of their names.

    Raises:
        BadDataError: a file is not JSON, or holds no tests.
    """
    return [_suite(path) for path in sorted(folder.glob("*.json"))]


def run_suite(suite: Suite) -> list[Verdict]:
    """Run every test of a file."""
    return [Verdict(test["title"], why_failed(suite.resources, test)) for test in suite.tests]


def why_failed(resources: Iterable[Row], test: Mapping[str, Any]) -> str:
    """Run one test: what is not as it expects, or nothing."""
    try:
        result = run_view(test["view"], resources)
    except UnsupportedViewError as error:
        return "" if test.get("expectError") else str(error)
    if test.get("expectError"):
        return f"expected an error, got {len(result.rows)} rows"
    return _difference(result, test)


def report(verdicts: Mapping[str, Sequence[Verdict]]) -> dict[str, Any]:
    """Verdicts by file in the official report's form."""
    return {
        file_name: {"tests": [{"name": v.title, "result": _result(v)} for v in of_file]}
        for file_name, of_file in verdicts.items()
    }


def _suite(path: Path) -> Suite:
    suite = read_json(path, parse_float=Decimal)
    resources, tests = (_objects(suite, name) for name in ("resources", "tests"))
    if resources is None or tests is None or not all(map(_is_test, tests)):
        raise BadDataError(
            f"{path} is no SQL on FHIR test file",
            f"it needs resources and tests, each test with title, view and one of"
            f" {', '.join(_EXPECTATIONS)}",
        )
    return Suite(path.name, resources, tests)


def _objects(suite: Any, name: str) -> list[dict[str, Any]] | None:
    items = suite.get(name) if isinstance(suite, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    return items


def _is_test(test: Mapping[str, Any]) -> bool:
    expects_something = any(name in test for name in _EXPECTATIONS)
    return isinstance(test.get("title"), str) and "view" in test and expects_something


def _result(verdict: Verdict) -> dict[str, Any]:
    if verdict.failure:
        return {"passed": False, "error": verdict.failure}
    return {"passed": True}


def _difference(result: ViewResult, test: Mapping[str, Any]) -> str:
    count, columns, rows = (test.get(name) for name in ("expectCount", "expectColumns", "expect"))
    if count is not None and len(result.rows) != count:
        return f"expected {count} rows, got {len(result.rows)}"
    if columns is not None and result.columns != columns:
        return f"expected columns {', '.join(columns)}; got {', '.join(result.columns)}"
    if rows is None:
        return ""
    rows = _with_times(rows, result.rows)
    missing, surplus = _beyond(result.rows, rows), _beyond(rows, result.rows)
    parts = [_excerpt(f"expected {len(missing)} more", missing)] if missing else []
    parts += [_excerpt(f"did not expect {len(surplus)}", surplus)] if surplus else []
    return "; ".join(parts)


def _with_times(rows: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Expected rows, their text read as times in columns that hold times: JSON has none."""
    kinds = {n: type(v) for row in found for n, v in row.items() if isinstance(v, date | time)}
    return [{n: _read_as(kinds[n], v) if n in kinds else v for n, v in r.items()} for r in rows]


def _read_as(kind: type[date | time], text: Any) -> Any:
    try:
        return kind.fromisoformat(text)
    except (TypeError, ValueError):
        return text


def _beyond(some: Sequence[Row], all_rows: Sequence[Row]) -> list[Row]:
    """The rows that are not among ``some``, each as often as it is missing there."""
    left = Counter(map(typed, some))
    missing = []
    for row in all_rows:
        key = typed(row)
        left[key] -= 1
        if left[key] < 0:
            missing.append(row)
    return missing


def _excerpt(what: str, rows: Sequence[Row]) -> str:
    text = json.dumps(rows[0], default=str, ensure_ascii=False)
    return f"{what}: {textwrap.shorten(text, _EXCERPT_CHARACTERS, placeholder=' …')}"


def typed(value: Any) -> Any:
    """A value that can be counted, in which ``1``, ``true`` and ``'1'`` differ."""
    if isinstance(value, dict):
        return frozenset((name, typed(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return ("list", *map(typed, value))
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return ("number", Decimal(str(value)))
    return (type(value).__name__, value)
