"""Marts that count patients, and say how fresh the data is."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ecw_pipeline_tests.marts.warehouse import PRACTICE, Warehouse

AGES = "patients_by_age_band"
FRESH = "data_freshness"
NOON = "2024-01-01T12:00:00Z"


def patient(born_on: str | None, **more: Any) -> dict[str, Any]:
    return {"gender": "female", "is_deceased": False, "born_on": born_on, **more}


def test_patients_are_counted_by_full_years_of_age(warehouse: Warehouse) -> None:
    warehouse.exported("Patient", "2024-03-01T12:00:00Z")
    warehouse.add(
        "core.patient",
        patient("2014-03-01"),
        patient("2014-03-02"),
        patient("2014-02-28", gender="male"),
        patient("1920-01-01"),
        patient(None, gender=None),
    )
    as_of = date(2024, 3, 1)

    assert warehouse.mart(AGES) == [
        (PRACTICE, "0-9", 0, "female", 1, as_of),
        (PRACTICE, "10-19", 10, "female", 1, as_of),
        (PRACTICE, "10-19", 10, "male", 1, as_of),
        (PRACTICE, "90+", 90, "female", 1, as_of),
        (PRACTICE, "unknown", None, "unknown", 1, as_of),
    ]


@pytest.mark.parametrize("why", [{"is_deceased": True}, {"active": False}])
def test_the_dead_and_the_inactive_are_left_out(warehouse: Warehouse, why: dict[str, Any]) -> None:
    warehouse.exported("Patient")
    warehouse.add("core.patient", patient("2000-01-01", active=True), patient("2000-01-01", **why))

    assert warehouse.mart(AGES, "patients") == [(1,)]


def test_a_birth_date_that_lies_ahead_is_of_unknown_age(warehouse: Warehouse) -> None:
    warehouse.exported("Patient", "2024-03-01T12:00:00Z")
    warehouse.add("core.patient", patient("2031-01-01"))

    assert warehouse.mart(AGES, "age_band") == [("unknown",)]


def load(export: str, resource_type: str, at: str, **more: Any) -> dict[str, Any]:
    return {
        "export_id": export,
        "resource_type": resource_type,
        "transaction_time": at,
        "loaded_at": "2024-03-02T06:00:00Z",
        "lines_received": 10,
        "lines_landed": 9,
        "lines_quarantined": 1,
        "lines_superseded": 0,
        "manifest_count": 10,
        "resources_changed": 5,
        "resources_deleted": 2,
        "load_seconds": 0.25,
        **more,
    }


def test_freshness_tells_of_the_newest_export_and_sums_all(warehouse: Warehouse) -> None:
    warehouse.add(
        "ops.load",
        load("x1", "Patient", "2024-03-01T00:00:00Z"),
        load("x2", "Patient", "2024-03-02T00:00:00Z", lines_received=3, manifest_count=None),
        load("x1", "Task", "2024-03-01T00:00:00Z"),
    )
    loaded_at = datetime(2024, 3, 2, 6, tzinfo=UTC)
    columns = "resource_type, data_as_of, behind_hours, last_loaded_at, last_export_id, "
    columns += "last_lines_received, last_manifest_count, exports_loaded, lines_received"

    assert warehouse.mart(FRESH, columns) == [
        ("Patient", datetime(2024, 3, 2, tzinfo=UTC), 0, loaded_at, "x2", 3, None, 2, 13),
        ("Task", datetime(2024, 3, 1, tzinfo=UTC), 24, loaded_at, "x1", 10, 10, 1, 10),
    ]


def test_freshness_sums_what_became_of_the_lines(warehouse: Warehouse) -> None:
    at = "2024-03-01T00:00:00Z"
    warehouse.add("ops.load", load("x1", "Task", at), load("x2", "Task", at))
    columns = "lines_landed, lines_quarantined, lines_superseded, resources_changed, "
    columns += "resources_deleted, load_seconds"

    assert warehouse.mart(FRESH, columns) == [(18, 2, 0, 10, 4, 0.5)]


def test_connections_lag_behind_their_own_freshest(warehouse: Warehouse) -> None:
    warehouse.add(
        "ops.load",
        load("x1", "Task", "2024-03-01T00:00:00Z"),
        load("y1", "Task", "2024-03-09T00:00:00Z", connection_id="b"),
    )

    assert warehouse.mart(FRESH, "connection_id, behind_hours") == [("b", 0), (PRACTICE, 0)]


def test_completeness_counts_who_what_and_when(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.observation",
        {"observation_id": "a", "patient_id": "ann", "code": "1", "effective_at": NOON},
        {"observation_id": "b", "patient_id": "ann", "code_text": "x", "issued_at": NOON},
        {"observation_id": "c", "patient_id": None},
        {"observation_id": "d", "patient_id": "bob", "code": "2"},
    )
    warehouse.add("core.patient", {"patient_id": "ann", "born_on": "1950-01-01"})

    assert warehouse.mart("completeness_by_type") == [
        (PRACTICE, "Observation", 4, 3, 3, 2, 0.75, 0.75, 0.5),
        (PRACTICE, "Patient", 1, 1, 0, 1, 1.0, 0.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("medication_request", {"medication_id": "m1"}),
        ("medication_request", {"medication_display": "Axid"}),
        ("care_plan", {"category_text": "diet"}),
        ("encounter", {"type_text": "check-up"}),
        ("communication", {"category_text": "reminder"}),
        ("service_request", {"code_text": "x-ray"}),
        ("medication_dispense", {"medication_display": "Axid"}),
        ("medication_administration", {"medication_reference_display": "Axid"}),
        ("document_reference", {"description": "letter"}),
        ("goal", {"description_text": "walk"}),
    ],
)
def test_words_and_references_say_what_it_is_as_codes_do(
    warehouse: Warehouse, table: str, what: dict[str, Any]
) -> None:
    warehouse.add(f"core.{table}", {f"{table}_id": "a", **what})

    assert warehouse.mart("completeness_by_type", "resources, with_code") == [(1, 1)]


@pytest.mark.parametrize(
    ("table", "when"),
    [
        ("service_request", {"occurrence_period_start_at": NOON}),
        ("medication_dispense", {"prepared_at": NOON}),
        ("medication_administration", {"effective_period_start_at": NOON}),
        ("document_reference", {"date_at": NOON}),
        ("goal", {"start_date": "2024-01-31"}),
        ("goal", {"start_date": "2024-01"}),
        ("goal", {"start_date": "2024"}),
    ],
)
def test_a_date_of_any_kind_says_when_it_was(
    warehouse: Warehouse, table: str, when: dict[str, Any]
) -> None:
    warehouse.add(f"core.{table}", {f"{table}_id": "a", **when}, {f"{table}_id": "b"})

    assert warehouse.mart("completeness_by_type", "resources, with_date") == [(2, 1)]
