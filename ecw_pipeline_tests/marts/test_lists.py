"""Marts that list what a patient has, takes and went through."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ecw_pipeline_tests.marts.warehouse import PRACTICE, Warehouse


def problem(key: str, **more: Any) -> dict[str, Any]:
    return {
        "condition_id": key,
        "patient_id": "ann",
        "icd10_code": "E11.9",
        "clinical_status_code": "active",
        **more,
    }


def allergy(key: str, **more: Any) -> dict[str, Any]:
    return {
        "allergy_intolerance_id": key,
        "patient_id": "ann",
        "clinical_status_code": "active",
        **more,
    }


def prescription(key: str, **more: Any) -> dict[str, Any]:
    return {
        "medication_request_id": key,
        "patient_id": "ann",
        "status": "active",
        "intent": "order",
        **more,
    }


def test_a_problem_is_listed_with_how_often_it_was_recorded(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.condition",
        problem("c1", code_text="diabetes", onset_at="2020-01-01T00:00:00Z"),
        problem("c2", recorded_at="2021-01-01T00:00:00Z"),
        problem("c3", icd10_code=None, clinical_status_code=None),
        problem("c4", patient_id="bob"),
    )

    columns = "condition_id, code, problem, since, repeats"
    assert warehouse.mart("problem_list", columns) == [
        ("c2", "E11.9", None, datetime(2021, 1, 1, tzinfo=UTC), 2),
        ("c1", "E11.9", "diabetes", datetime(2020, 1, 1, tzinfo=UTC), 2),
        ("c3", None, None, None, 1),
        ("c4", "E11.9", None, None, 1),
    ]


@pytest.mark.parametrize(
    "over",
    [
        {"clinical_status_code": "resolved"},
        {"verification_status_code": "entered-in-error"},
        {"verification_status_code": "refuted"},
        {"abatement_at": "2022-01-01T00:00:00Z"},
        {"abatement_period_end": "2022-01-01"},
        {"abatement_string": "last spring"},
        {"abatement_age": 40},
        {"abatement_range_high": 50},
        {"patient_id": None},
    ],
)
def test_what_is_over_or_never_was_is_no_problem(
    warehouse: Warehouse, over: dict[str, Any]
) -> None:
    warehouse.add("core.condition", problem("c1", **over))

    assert warehouse.mart("problem_list") == []


def test_an_allergy_is_listed_with_its_reactions_and_the_worst_of_them(
    warehouse: Warehouse,
) -> None:
    warehouse.add(
        "core.allergy_intolerance",
        allergy("a1", code="91936005", code_text="penicillin", criticality="high"),
        allergy("a2", code="716186003", clinical_status_code=None),
        allergy("a3", clinical_status_code="resolved"),
        allergy("a4", verification_status_code="entered-in-error"),
    )
    reaction = {"allergy_intolerance_id": "a1"}
    warehouse.add(
        "core.allergy_intolerance_reaction",
        {**reaction, "severity": "severe"},
        {**reaction, "severity": "mild"},
        {**reaction, "severity": None},
    )
    warehouse.add(
        "core.allergy_intolerance_manifestation",
        {**reaction, "manifestation_text": "rash"},
        {**reaction, "manifestation_display": "Anaphylaxis"},
        {**reaction, "manifestation_text": "rash"},
    )

    columns = "allergy_intolerance_id, substance, is_none_known, criticality, reactions, severest"
    assert warehouse.mart("allergy_list", columns) == [
        ("a1", "penicillin", False, "high", "Anaphylaxis, rash", "severe"),
        ("a2", None, True, None, None, None),
    ]


def test_a_medication_is_listed_by_its_own_name_or_by_what_it_refers_to(
    warehouse: Warehouse,
) -> None:
    warehouse.add(
        "core.medication_request",
        prescription("m1", rxnorm_code="860975", medication_text="metformin"),
        prescription("m2", medication_id="x", intent=None),
        prescription("m3", status="stopped"),
        prescription("m4", intent="proposal"),
        prescription("m5", do_not_perform=True),
    )
    warehouse.add(
        "core.medication", {"medication_id": "x", "rxnorm_code": "1", "code_text": "insulin"}
    )
    dosage = {"medication_request_id": "m1"}
    warehouse.add(
        "core.medication_request_dosage",
        {**dosage, "ordinal": 1, "text": "at night"},
        {**dosage, "ordinal": 0, "text": "at noon"},
    )

    columns = "medication_request_id, rxnorm_code, medication, dosage"
    assert warehouse.mart("active_medications", columns) == [
        ("m2", "1", "insulin", None),
        ("m1", "860975", "metformin", "at noon; at night"),
    ]


def test_a_medication_prescribed_twice_counts_once(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.medication_request",
        *(prescription(f"m{n}", rxnorm_code=str(n)) for n in range(4)),
        prescription("m4", medication_text="Aspirin"),
        prescription("m5", medication_text="aspirin"),
        prescription("m6", patient_id="bob"),
        prescription("m7", patient_id="bob"),
        prescription("m8", patient_id="bob", status="completed"),
    )

    assert warehouse.mart("polypharmacy") == [
        (PRACTICE, "ann", 5, 6, True, False),
        (PRACTICE, "bob", 2, 2, False, False),
    ]


def test_a_timeline_is_in_order_and_without_what_has_no_date_or_was_a_mistake(
    warehouse: Warehouse,
) -> None:
    ann = {"patient_id": "ann"}
    warehouse.add(
        "core.encounter",
        {**ann, "encounter_id": "e1", "period_start_at": "2024-01-02", "class_code": "AMB"},
        {**ann, "encounter_id": "e2", "class_code": "AMB"},
    )
    warehouse.add(
        "core.observation",
        {
            **ann,
            "observation_id": "o1",
            "effective_at": "2024-01-01",
            "code_text": "weight",
            "value_quantity_text": "70.0",
            "value_unit": "kg",
            "status": "final",
        },
        {
            **ann,
            "observation_id": "o2",
            "effective_at": "2024-01-01",
            "value_quantity_text": "7.0",
            "status": "entered-in-error",
        },
    )
    warehouse.add(
        "core.condition",
        {**problem("c1"), "recorded_at": "2024-01-03", "code_text": "diabetes"},
        {
            **problem("c2", verification_status_code="entered-in-error"),
            "recorded_at": "2024-01-03",
        },
    )

    assert warehouse.mart("patient_timeline", "resource_id, what, detail") == [
        ("o1", "weight", "70.0 kg"),
        ("e1", "AMB", None),
        ("c1", "diabetes", "active"),
    ]


@pytest.mark.parametrize(
    ("table", "resource_type", "row"),
    [
        ("communication", "Communication", {"topic_text": "refill", "received_at": "2024-01-05"}),
        ("task", "Task", {"description": "refill", "authored_at": "2024-01-05"}),
        ("care_plan", "CarePlan", {"title": "refill", "created_at": "2024-01-05"}),
        ("service_request", "ServiceRequest", {"code": "refill", "authored_at": "2024-01-05"}),
        (
            "medication_dispense",
            "MedicationDispense",
            {"medication_text": "refill", "prepared_at": "2024-01-05"},
        ),
        (
            "medication_administration",
            "MedicationAdministration",
            {"medication_display": "refill", "effective_period_start_at": "2024-01-05"},
        ),
        (
            "document_reference",
            "DocumentReference",
            {"type_display": "refill", "date_at": "2024-01-05"},
        ),
    ],
)
def test_a_timeline_has_what_was_planned_written_and_given(
    warehouse: Warehouse, table: str, resource_type: str, row: dict[str, Any]
) -> None:
    row = {"patient_id": "ann", "status": "active", **row}
    warehouse.add(
        f"core.{table}",
        {**row, f"{table}_id": "x1"},
        {**row, f"{table}_id": "x2", "status": "entered-in-error"},
    )

    columns = "happened_at, resource_type, resource_id, what, detail"
    assert warehouse.mart("patient_timeline", columns) == [
        (datetime(2024, 1, 5, tzinfo=UTC), resource_type, "x1", "refill", "active")
    ]


def test_a_summary_is_one_row_even_of_a_patient_of_whom_little_is_known(
    warehouse: Warehouse,
) -> None:
    warehouse.exported("Patient", "2024-03-01T00:00:00Z")
    warehouse.add(
        "core.patient",
        {"patient_id": "ann", "born_on": "1960-03-01", "is_deceased": False},
        {"patient_id": "bob", "born_on": "1960-03-02", "is_deceased": True},
        {"patient_id": "cyd", "is_deceased": False},
    )
    times = {"e1": "2024-01-01", "e2": "2024-02-01", "e3": "2024-04-01", "e4": "2024-05-01"}
    states = {"e1": "finished", "e2": "cancelled", "e3": "planned", "e4": "planned"}
    warehouse.add(
        "core.encounter",
        *(
            {"encounter_id": key, "patient_id": "ann", "status": states[key], "period_start_at": at}
            for key, at in times.items()
        ),
    )
    warehouse.add("core.condition", problem("c1"), problem("c2", clinical_status_code="resolved"))
    warehouse.add("core.allergy_intolerance", allergy("a1"), allergy("a2", code="716186003"))
    warehouse.add(
        "core.medication_request", prescription("m1"), prescription("m2", status="stopped")
    )
    result = {"patient_id": "ann", "loinc_code": "4548-4", "status": "final"}
    warehouse.add(
        "core.observation",
        {**result, "observation_id": "o1", "value_quantity": 8, "effective_at": "2024-01-01"},
        {
            **result,
            "loinc_code": "17856-6",
            "value_unit": "mmol/mol",
            "observation_id": "o2",
            "value_quantity": 53,
            "effective_at": "2024-02-01",
        },
        {**result, "observation_id": "o3", "value_quantity": 6, "effective_at": None},
    )

    columns = (
        "patient_id, age, last_visit_at, next_visit_at, problems, allergies, prescriptions,"
        " hba1c_percent"
    )
    assert warehouse.mart("patient_summary", columns) == [
        (
            *("ann", 64, datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)),
            *(1, 1, 1, 7.0),
        ),
        ("bob", None, None, None, 0, 0, 0, None),
        ("cyd", None, None, None, 0, 0, 0, None),
    ]
