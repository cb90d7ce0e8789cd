"""The official SQL on FHIR tests, and that what runs them can tell right from wrong.

They are read from ``SQL_ON_FHIR_TESTS``, or ``$ECW_SHARED_TESTS/sql-on-fhir``, or
``../shared/sql-on-fhir`` beside the checkout; a checkout without them skips, CI fails.
"""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.errors import BadDataError
from ecw_pipeline.sql_on_fhir.conformance import (
    Verdict,
    official_folder,
    read_suites,
    report,
    run_suite,
    why_failed,
)

# Test title → why it cannot pass yet. Must shrink when one starts to pass.
KNOWN_FAILURES: dict[str, str] = {}
FOLDER = official_folder(os.environ)


def official_cases() -> list[Any]:
    cases = []
    for suite in read_suites(FOLDER):
        for test in suite.tests:
            name = f"{suite.file_name.removesuffix('.json')}: {test['title']}"
            reason = KNOWN_FAILURES.get(name)
            marks = [pytest.mark.xfail(reason=reason)] if reason else []
            cases.append(pytest.param(suite.resources, test, id=name, marks=marks))
    return cases


CASES = official_cases()


def test_the_official_tests_are_here() -> None:
    if CASES:
        assert len(CASES) == 148
    elif os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"no official tests in {FOLDER}: CI must run them")
    else:
        pytest.skip(f"no official tests in {FOLDER}: set SQL_ON_FHIR_TESTS")


@pytest.mark.parametrize(("resources", "test"), CASES)
def test_official(resources: list[dict[str, Any]], test: dict[str, Any]) -> None:
    assert why_failed(resources, test) == ""


# --- what runs them ---------------------------------------------------------------------------

RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "a", "active": True, "name": [{"family": "1"}]},
    {"resourceType": "Patient", "id": "b"},
    {"resourceType": "Patient", "id": "b", "meta": {"lastUpdated": "2024-01-01T00:00:00.5+02:00"}},
    {
        "resourceType": "Observation",
        "id": "o",
        "valueQuantity": {"value": Decimal("1.10")},
        "component": [{"valueInteger": 1}, {"valueInteger": 2}],
    },
]


def verdict(resource: str, paths: dict[str, str], **expectation: Any) -> str:
    columns = [{"name": name, "path": path} for name, path in paths.items()]
    view = {"resource": resource, "select": [{"column": columns}]}
    return why_failed(RESOURCES, {"title": "tried", "view": view, **expectation})


ACTIVE = {"id": "id", "active": "active"}
A, B = {"id": "a", "active": True}, {"id": "b", "active": None}
VALUE = {"v": "value.ofType(Quantity).value"}
UPDATED = {"at": "meta.lastUpdated"}


@pytest.mark.parametrize(
    ("resource", "paths", "expectation"),
    [
        ("Patient", ACTIVE, {"expect": [B, A, B]}),
        ("Patient", ACTIVE, {"expectCount": 3}),
        ("Patient", ACTIVE, {"expectColumns": ["id", "active"]}),
        ("Patient", {"id": "frist()"}, {"expectError": True}),
        ("Observation", {"v": "component.value.ofType(integer)"}, {"expectError": True}),
        ("Observation", VALUE, {"expect": [{"v": Decimal("1.1")}]}),
        ("Patient", UPDATED, {"expect": [{"at": None}] * 2 + [{"at": "2023-12-31T22:00:00.5Z"}]}),
    ],
)
def test_what_is_as_expected_passes(
    resource: str, paths: dict[str, str], expectation: dict[str, Any]
) -> None:
    assert verdict(resource, paths, **expectation) == ""


@pytest.mark.parametrize(
    ("resource", "paths", "expectation", "says"),
    [
        ("Patient", ACTIVE, {"expect": [A, B]}, "did not expect 1: "),
        ("Patient", ACTIVE, {"expect": [A, A, B, B]}, "expected 1 more: "),
        (
            "Patient",
            ACTIVE,
            {"expect": [{**A, "active": 1}, B, B]},
            'more: {"id": "a", "active": 1}',
        ),
        ("Patient", ACTIVE, {"expect": [{**A, "active": "true"}, B, B]}, "expected 1 more"),
        ("Patient", ACTIVE, {"expect": [A, {"id": "b"}, {"id": "b"}]}, "expected 2 more"),
        ("Patient", ACTIVE, {"expectCount": 2}, "expected 2 rows, got 3"),
        ("Patient", ACTIVE, {"expectColumns": ["active", "id"]}, "columns active, id; got id, act"),
        ("Patient", ACTIVE, {"expectError": True}, "expected an error, got 3 rows"),
        ("Patient", {"id": "frist()"}, {"expect": []}, "did you mean `first`?"),
        ("Observation", VALUE, {"expect": [{"v": "1.10"}]}, "expected 1 more"),
        ("Patient", UPDATED, {"expect": [{"at": "yesterday"}]}, "expected 1 more"),
    ],
)
def test_what_is_not_as_expected_fails_and_says_why(
    resource: str, paths: dict[str, str], expectation: dict[str, Any], says: str
) -> None:
    assert says in verdict(resource, paths, **expectation)


def test_a_resource_that_is_no_text_fails_its_test_only() -> None:
    view = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}
    patient = {"resourceType": "Patient", "id": "\ud800"}

    assert "fails on this data" in why_failed([patient], {"view": view, "expectCount": 1})


def test_the_report_has_the_official_form() -> None:
    verdicts = {"a.json": [Verdict("right", ""), Verdict("wrong", "expected 2 rows, got 3")]}

    assert report(verdicts) == {
        "a.json": {
            "tests": [
                {"name": "right", "result": {"passed": True}},
                {"name": "wrong", "result": {"passed": False, "error": "expected 2 rows, got 3"}},
            ]
        }
    }


def test_a_file_of_tests_is_run_with_exact_numbers(tmp_path: Path) -> None:
    view = {"resource": "Observation", "select": [{"column": [{"name": "v", "path": VALUE["v"]}]}]}
    digits = "12345678901234567890.123"
    test = {"title": "digits", "view": view, "expect": [{"v": 0.5}]}
    resource = {"resourceType": "Observation", "id": "o", "valueQuantity": {"value": 0.5}}
    text = json.dumps({"title": "t", "resources": [resource], "tests": [test]})
    (tmp_path / "t.json").write_text(text.replace("0.5", digits), "utf-8")
    (tmp_path / "u.json").write_text(text.replace("0.5", digits, 1), "utf-8")

    right, wrong = (run_suite(suite)[0].failure for suite in read_suites(tmp_path))

    assert right == ""
    assert "did not expect 1: " in wrong
    assert digits in wrong


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"resources": []}',
        '{"resources": [1], "tests": []}',
        '{"resources": [], "tests": [{"title": "t", "view": {}}]}',
        '{"resources": [], "tests": [{"view": {}, "expect": []}]}',
    ],
)
def test_a_file_without_tests_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text, "utf-8")

    with pytest.raises(BadDataError, match=r"report.json is no SQL on FHIR test file"):
        read_suites(tmp_path)
