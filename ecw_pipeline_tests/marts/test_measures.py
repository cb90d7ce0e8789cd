"""Marts over results: the latest HbA1c and blood pressure of each patient."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ecw_pipeline_tests.marts.warehouse import PRACTICE, Warehouse

A1C = "hba1c_latest_per_patient"
PRESSURE = "blood_pressure_latest"


def result(key: str, value: float | None, at: str | None, **more: Any) -> dict[str, Any]:
    return {
        "observation_id": key,
        "patient_id": "ann",
        "status": "final",
        "loinc_code": "4548-4",
        "value_quantity": value,
        "value_unit_code": "%",
        "effective_at": at,
        **more,
    }


def problem(patient: str, **more: Any) -> dict[str, Any]:
    return {
        "patient_id": patient,
        "clinical_status_code": "active",
        "verification_status_code": "confirmed",
        **more,
    }


def test_the_latest_hba1c_is_the_one_that_was_true_last(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.observation",
        result("o1", 8.1, "2024-01-05T10:00:00Z"),
        result("o2", 9.4, "2024-02-05T10:00:00Z"),
        result("o3", 5.5, None),
        result("o4", 6.0, "2023-02-05T10:00:00Z", patient_id="bob"),
    )
    warehouse.add("core.condition", problem("ann", icd10_code="E11.9"))

    assert warehouse.mart(A1C) == [
        (PRACTICE, "ann", 9.4, True, datetime(2024, 2, 5, 10, tzinfo=UTC), True, "o2"),
        (PRACTICE, "bob", 6.0, False, datetime(2023, 2, 5, 10, tzinfo=UTC), False, "o4"),
    ]


@pytest.mark.parametrize(
    "unusable",
    [
        {"status": "preliminary"},
        {"status": "entered-in-error"},
        {"value_quantity": None},
        {"loinc_code": "2345-7"},
        {"patient_id": None},
    ],
)
def test_what_is_no_final_hba1c_does_not_count(
    warehouse: Warehouse, unusable: dict[str, Any]
) -> None:
    usable = result("o1", 7.0, "2024-01-01T00:00:00Z")
    warehouse.add("core.observation", usable, {**result("o2", 9, "2024-02-01"), **unusable})

    assert warehouse.mart(A1C, "observation_id") == [("o1",)]


def test_a_year_that_was_mistyped_does_not_stay_the_latest(warehouse: Warehouse) -> None:
    warehouse.exported("Observation", "2024-03-01T00:00:00Z")
    warehouse.add("core.patient", {"patient_id": "ann", "is_deceased": False})
    for name, at in (("1", "2024-02-28T00:00:00Z"), ("2", "2042-02-28T00:00:00Z")):
        warehouse.add(
            "core.observation",
            result(f"a{name}", float(name), at),
            result(f"b{name}", float(name), at, loinc_code="39156-5"),
            result(f"c{name}", float(name), at, loinc_code="8480-6"),
            result(f"d{name}", float(name), at, loinc_code="8462-4"),
        )

    assert warehouse.mart(A1C, "hba1c_percent") == [(1.0,)]
    assert warehouse.mart(PRESSURE, "systolic_mm_hg, diastolic_mm_hg") == [(1.0, 1.0)]
    assert warehouse.mart("patient_summary", "hba1c_percent, body_mass_index") == [(1.0, 1.0)]


@pytest.mark.parametrize("mart", [A1C, "patient_summary"])
def test_an_hba1c_without_a_date_is_better_than_none(warehouse: Warehouse, mart: str) -> None:
    warehouse.add("core.patient", {"patient_id": "ann", "is_deceased": False})
    warehouse.add("core.observation", result("o1", 6.1, None))

    assert warehouse.mart(mart, "hba1c_percent") == [(6.1,)]


def test_mmol_per_mol_become_percent(warehouse: Warehouse) -> None:
    ifcc = {"loinc_code": "59261-8", "value_unit_code": "mmol/mol"}
    warehouse.add("core.observation", result("o1", 53, "2024-01-01", **ifcc))

    assert warehouse.mart(A1C, "hba1c_percent") == [(7.0,)]


@pytest.mark.parametrize(
    ("condition", "has_diabetes"),
    [
        ({"icd10_code": "E10.65"}, True),
        ({"snomed_code": "44054006"}, True),
        ({"icd10_code": "E11.9", "clinical_status_code": None}, True),
        ({"icd10_code": "E11.9", "clinical_status_code": "resolved"}, False),
        ({"icd10_code": "E11.9", "verification_status_code": "refuted"}, False),
        ({"icd10_code": "I10"}, False),
        ({"icd10_code": "E11.9", "connection_id": "elsewhere"}, False),
    ],
)
def test_diabetes_is_an_active_condition_of_the_same_connection(
    warehouse: Warehouse, condition: dict[str, Any], has_diabetes: bool
) -> None:
    warehouse.add("core.observation", result("o1", 7, "2024-01-01"))
    warehouse.add("core.condition", {**problem("ann"), **condition})

    assert warehouse.mart(A1C, "has_diabetes") == [(has_diabetes,)]


def panel(key: str, at: str, systolic: float | None, diastolic: float | None) -> dict[str, Any]:
    return {
        "observation": result(key, None, at, loinc_code="85354-9"),
        "components": [
            {"observation_id": key, "ordinal": n, "code": code, "value_quantity": value}
            for n, (code, value) in enumerate((("8480-6", systolic), ("8462-4", diastolic)))
        ],
    }


def add_panels(warehouse: Warehouse, *panels: dict[str, Any]) -> None:
    for one in panels:
        warehouse.add("core.observation", one["observation"])
        warehouse.add("core.observation_component", *one["components"])


def test_the_latest_pressure_has_both_sides(warehouse: Warehouse) -> None:
    add_panels(
        warehouse,
        panel("o1", "2024-01-01T10:00:00Z", 150, 80),
        panel("o2", "2024-02-01T10:00:00Z", 139, 89),
        panel("o3", "2024-02-02T10:00:00Z", 120, None),
    )
    warehouse.add("core.condition", problem("ann", icd10_code="I10"))

    assert warehouse.mart(PRESSURE) == [
        (PRACTICE, "ann", 139, 89, True, datetime(2024, 2, 1, 10, tzinfo=UTC), True, "o2")
    ]


@pytest.mark.parametrize(
    ("systolic", "diastolic", "is_controlled"),
    [(139, 89, True), (140, 80, False), (120, 90, False)],
)
def test_controlled_is_below_140_over_90(
    warehouse: Warehouse, systolic: float, diastolic: float, is_controlled: bool
) -> None:
    add_panels(warehouse, panel("o1", "2024-01-01T10:00:00Z", systolic, diastolic))

    assert warehouse.mart(PRESSURE, "is_controlled, has_hypertension") == [(is_controlled, False)]


def test_two_observations_of_one_moment_are_a_reading(warehouse: Warehouse) -> None:
    at = "2024-01-01T10:00:00Z"
    warehouse.add(
        "core.observation",
        result("o1", 121, at, loinc_code="8480-6"),
        result("o2", 81, at, loinc_code="8462-4"),
        result("o3", 160, "2024-01-02T10:00:00Z", loinc_code="8480-6"),
    )

    rows = warehouse.mart(PRESSURE, "systolic_mm_hg, diastolic_mm_hg, observation_id")

    assert rows == [(121, 81, "o2")]
