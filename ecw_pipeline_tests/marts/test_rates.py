"""Marts that count a practice's patients and visits: rates, by month, season or year."""

from datetime import date
from typing import Any

import pytest

from ecw_pipeline_tests.marts.warehouse import PRACTICE, Warehouse


def visit(key: str, **more: Any) -> dict[str, Any]:
    return {
        "encounter_id": key,
        "patient_id": "ann",
        "status": "finished",
        "class_code": "AMB",
        "period_start": "2024-01-05T10:00:00Z",
        "period_start_at": "2024-01-05T10:00:00Z",
        "practitioner_id": "dr1",
        "is_telehealth": False,
        **more,
    }


def person(key: str, born_on: str | None = "1960-01-01", **more: Any) -> dict[str, Any]:
    return {"patient_id": key, "born_on": born_on, "is_deceased": False, **more}


def test_visits_are_counted_by_what_became_of_them(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.encounter",
        visit("e1"),
        visit("e2", is_telehealth=True, patient_id="bob"),
        visit("e3", status="cancelled"),
        visit("e4", status="noshow"),
        visit("e5", status="planned"),
        visit("e6", status="entered-in-error"),
        visit("e7", class_code=None, period_start=None, practitioner_id=None),
    )
    doctor = {"individual_id": "dr1", "individual_type": "Practitioner"}
    warehouse.add(
        "core.encounter_participant",
        {"encounter_id": "e1", "ordinal": 0, "individual_type": "RelatedPerson"},
        {"encounter_id": "e1", "ordinal": 1, "individual_display": "Dr One", **doctor},
        {"encounter_id": "e2", "ordinal": 0, **doctor},
    )

    assert warehouse.mart("encounters_by_month") == [
        (
            *(PRACTICE, date(2024, 1, 1), "AMB", "dr1", "Dr One"),
            *(2, 1, 0.5, 1, 1, 1, 0.25, 0.25, 2),
        ),
        (PRACTICE, None, "unknown", None, None, 1, 0, 0.0, 0, 0, 0, 0.0, 0.0, 1),
    ]


def test_a_flu_season_counts_who_could_be_immunised_in_it(warehouse: Warehouse) -> None:
    warehouse.exported("Immunization", "2024-03-01T00:00:00Z")
    warehouse.add(
        "core.patient",
        person("ann", "1950-10-01"),  # 73 on the day
        person("bob", "1950-10-02"),
        person("cyd", "2023-05-01"),  # too young that October
        person("dan", "2023-04-01"),
        person("eve", "1980-01-01", deceased_at="2023-06-30T00:00:00Z", is_deceased=True),
        person("fay", "1980-01-01", deceased_at="2023-07-01T00:00:00Z", is_deceased=True),
        person("gus", "1980-01-01", is_deceased=True),
        person("hal", None),
        person("ida", "0001-01-01"),
    )
    given = {"status": "completed", "cvx_code": "150", "occurrence_at": "2023-07-01T00:00:00Z"}
    warehouse.add(
        "core.immunization",
        {**given, "patient_id": "ann"},
        {**given, "patient_id": "ann", "occurrence_at": "2024-02-29T00:00:00Z"},  # counts once
        {**given, "patient_id": "bob", "status": "not-done"},
        {**given, "patient_id": "fay", "cvx_code": "08"},
        {**given, "patient_id": "dan", "occurrence_at": "9999-01-01T00:00:00Z"},
    )

    assert warehouse.mart("flu_immunization") == [
        (PRACTICE, "2023/2024", "0-4", 1, 0, 0.0),
        (PRACTICE, "2023/2024", "18-49", 1, 0, 0.0),
        (PRACTICE, "2023/2024", "65+", 2, 1, 0.5),
    ]


def test_a_flu_season_turns_at_midnight_of_the_practices_clock(warehouse: Warehouse) -> None:
    warehouse.exported("Immunization", "2024-08-01T00:00:00Z")
    warehouse.add("core.patient", person("ann"))
    late = {"occurrence_date_time": "2023-06-30T20:00:00-05:00"}
    given = {"status": "completed", "cvx_code": "150", "occurrence_at": "2023-07-01T01:00:00Z"}
    warehouse.add("core.immunization", {**given, **late, "patient_id": "ann"})

    assert warehouse.mart("flu_immunization", "season, immunized") == [("2022/2023", 1)]


def hba1c(patient: str, value: float, at: str, **more: Any) -> dict[str, Any]:
    return {
        "observation_id": f"{patient}-{at}",
        "patient_id": patient,
        "status": "final",
        "loinc_code": "4548-4",
        "value_quantity": value,
        "effective_at": at,
        **more,
    }


def test_poor_control_is_a_latest_hba1c_above_nine_or_none_at_all(warehouse: Warehouse) -> None:
    warehouse.exported("Observation", "2024-06-01T00:00:00Z")
    everybody = ("ann", "bob", "cyd", "dan")
    warehouse.add("core.patient", *map(person, everybody))
    warehouse.add(
        "core.condition",
        *({"patient_id": p, "icd10_code": "E11.9", "condition_id": p} for p in everybody),
        {"patient_id": "ann", "icd10_code": "E10.1", "condition_id": "again"},
    )
    warehouse.add("core.encounter", *(visit(f"e-{p}", patient_id=p) for p in everybody))
    warehouse.add(
        "core.observation",
        hba1c("ann", 9.5, "2024-01-01T00:00:00Z"),
        hba1c("ann", 7.0, "2024-02-01T00:00:00Z"),
        hba1c("bob", 9.1, "2024-02-01T00:00:00Z"),
        hba1c("cyd", 7.0, "2023-12-31T00:00:00Z"),  # of the year before: not tested
        hba1c("dan", 60, "2024-02-01T00:00:00Z", value_unit_code="mmol/mol"),  # 7.64 %
    )

    assert warehouse.mart("hba1c_control") == [(PRACTICE, 2024, 4, 3, 2, 0.5)]


def of_one_diabetic(warehouse: Warehouse, *results: dict[str, Any]) -> tuple[int, int]:
    """Ann was seen in the year and has these results: is she tested, and in poor control?"""
    warehouse.exported("Observation", "2024-06-01T00:00:00Z")
    warehouse.add("core.patient", person("ann"))
    warehouse.add("core.condition", {"patient_id": "ann", "icd10_code": "E11.9"})
    warehouse.add("core.encounter", visit("e1"))
    warehouse.add("core.observation", *results)
    [(tested, poor)] = warehouse.mart("hba1c_control", "tested, poor_control")
    return tested, poor


def test_a_latest_hba1c_without_a_result_is_poor_control(warehouse: Warehouse) -> None:
    earlier = hba1c("ann", 6.5, "2024-01-01T00:00:00Z")
    without = hba1c("ann", 0, "2024-02-01T00:00:00Z", value_quantity=None)

    assert of_one_diabetic(warehouse, earlier, without) == (0, 1)


def test_an_hba1c_dated_after_the_export_does_not_count(warehouse: Warehouse) -> None:
    real = hba1c("ann", 6.5, "2024-02-01T00:00:00Z")
    mistyped = hba1c("ann", 9.9, "2024-12-01T00:00:00Z")

    assert of_one_diabetic(warehouse, real, mistyped) == (1, 0)


def test_of_one_moment_the_hba1c_issued_last_counts(warehouse: Warehouse) -> None:
    at = "2024-02-01T00:00:00Z"
    issued = {"issued_at": "2024-02-02T00:00:00Z", "observation_id": "a"}

    assert of_one_diabetic(warehouse, hba1c("ann", 6.5, at, **issued), hba1c("ann", 9.9, at)) == (
        1,
        0,
    )


def test_an_hba1c_belongs_to_the_year_of_the_practices_clock(warehouse: Warehouse) -> None:
    eve = {"effective_date_time": "2023-12-31T20:00:00-05:00"}

    assert of_one_diabetic(warehouse, hba1c("ann", 6.5, "2024-01-01T01:00:00Z", **eve)) == (0, 1)


@pytest.mark.parametrize(
    ("value", "unit", "loinc", "is_poor"),
    [
        (8, "%", "59261-8", 0),  # the unit is the surer
        (80, None, "59261-8", 1),
        (53, "mmol/mol{Hb}", "4548-4", 0),
    ],
)
def test_an_hba1c_is_read_by_its_unit(
    warehouse: Warehouse, value: float, unit: str | None, loinc: str, is_poor: int
) -> None:
    told = {"value_unit": unit, "loinc_code": loinc}

    assert of_one_diabetic(warehouse, hba1c("ann", value, "2024-02-01T00:00:00Z", **told)) == (
        1,
        is_poor,
    )


@pytest.mark.parametrize(
    ("patient", "condition", "encounter"),
    [
        (person("ann", "2007-01-01"), {}, {}),  # 17 at the year's end
        (person("ann", "1948-12-31"), {}, {}),  # 76
        (person("ann", None), {}, {}),
        (person("ann", is_deceased=True), {}, {}),
        (person("ann"), {"icd10_code": "E78.5"}, {}),
        (person("ann"), {"clinical_status_code": "resolved"}, {}),
        (person("ann"), {"verification_status_code": "refuted"}, {}),
        (person("ann"), {}, {"status": "cancelled"}),
        (person("ann"), {}, {"period_start": "2023-12-31T23:00:00Z"}),
    ],
)
def test_who_is_not_in_the_denominator(
    warehouse: Warehouse,
    patient: dict[str, Any],
    condition: dict[str, Any],
    encounter: dict[str, Any],
) -> None:
    warehouse.exported("Observation", "2024-06-01T00:00:00Z")
    warehouse.add("core.patient", patient)
    warehouse.add("core.condition", {"patient_id": "ann", "icd10_code": "E11.9", **condition})
    warehouse.add("core.encounter", visit("e1", **encounter))

    assert warehouse.mart("hba1c_control") == []


def pressure(patient: str, day: int, side: str, mm_hg: float, hour: int = 9) -> dict[str, Any]:
    at = f"2024-02-{day:02d}T{hour:02d}:00:00Z"
    return hba1c(patient, mm_hg, at, loinc_code=side, observation_id=f"{patient}{day}{side}{hour}")


def test_control_is_judged_by_the_lowest_values_of_the_latest_day(warehouse: Warehouse) -> None:
    warehouse.exported("Observation", "2024-06-01T00:00:00Z")
    everybody = ("ann", "bob", "cyd", "dan", "eve")
    warehouse.add("core.patient", *map(person, everybody), person("fay", "1930-01-01"))
    warehouse.add(
        "core.condition",
        *({"patient_id": p, "icd10_code": "I10", "condition_id": p} for p in (*everybody, "fay")),
    )
    warehouse.add("core.encounter", *(visit(f"e-{p}", patient_id=p) for p in (*everybody, "fay")))
    warehouse.add(
        "core.observation",
        # Ann: of two readings of a day the lowest of each side.
        pressure("ann", 2, "8480-6", 150),
        pressure("ann", 2, "8462-4", 80),
        pressure("ann", 2, "8480-6", 139, hour=10),
        pressure("ann", 2, "8462-4", 95, hour=10),
        # Bob was in control once, but not on the latest day; half a reading is none.
        pressure("bob", 1, "8480-6", 120),
        pressure("bob", 1, "8462-4", 70),
        pressure("bob", 2, "8480-6", 140),
        pressure("bob", 2, "8462-4", 70),
        pressure("bob", 3, "8480-6", 120),
        # Cyd's is in the parts of one observation; Dan's of the year before; Eve has none.
        hba1c("cyd", 0, "2024-02-01T00:00:00Z", loinc_code="85354-9", value_quantity=None),
        hba1c("dan", 120, "2023-12-31T09:00:00Z", loinc_code="8480-6"),
    )
    panel = {"observation_id": "cyd-2024-02-01T00:00:00Z"}
    warehouse.add(
        "core.observation_component",
        {**panel, "code": "8480-6", "value_quantity": 120},
        {**panel, "code": "8462-4", "value_quantity": 70},
    )

    assert warehouse.mart("blood_pressure_control") == [(PRACTICE, 2024, 5, 3, 2, 0.4)]


def of_one_hypertensive(warehouse: Warehouse, *readings: dict[str, Any]) -> tuple[int, int]:
    """Ann was seen in the year and has these readings: is she measured, and in control?"""
    warehouse.exported("Observation", "2024-06-01T00:00:00Z")
    warehouse.add("core.patient", person("ann"))
    warehouse.add("core.condition", {"patient_id": "ann", "icd10_code": "I10"})
    warehouse.add("core.encounter", visit("e1"))
    warehouse.add("core.observation", *readings)
    [(measured, controlled)] = warehouse.mart("blood_pressure_control", "measured, controlled")
    return measured, controlled


def reading(at: str, systolic: float, diastolic: float, **more: Any) -> list[dict[str, Any]]:
    sides = {"8480-6": systolic, "8462-4": diastolic}
    written = {"effective_date_time": at, **more}
    return [
        hba1c("ann", value, at, loinc_code=side, observation_id=f"{at}{side}", **written)
        for side, value in sides.items()
    ]


def test_a_reading_is_of_the_day_of_the_practices_clock(warehouse: Warehouse) -> None:
    """In UTC the second is of the next day."""
    low = reading("2024-02-01T17:00:00-05:00", 130, 80)
    high = reading("2024-02-01T21:00:00-05:00", 150, 80)

    assert of_one_hypertensive(warehouse, *low, *high) == (1, 1)


def test_a_reading_dated_after_the_export_does_not_count(warehouse: Warehouse) -> None:
    real = reading("2024-02-01T10:00:00Z", 150, 80)
    mistyped = reading("2024-12-01T10:00:00Z", 120, 80)

    assert of_one_hypertensive(warehouse, *real, *mistyped) == (1, 0)


def test_kilopascals_are_not_taken_for_millimetres(warehouse: Warehouse) -> None:
    high = reading("2024-02-01T10:00:00Z", 20, 13, value_unit_code="kPa")  # 150/98

    assert of_one_hypertensive(warehouse, *high) == (1, 0)
    assert warehouse.mart("blood_pressure_latest", "is_controlled") == [(False,)]


@pytest.mark.parametrize(
    ("ends", "at", "is_overdue"),
    [
        ("2024-03-01", "2024-03-01T00:00:00Z", False),
        ("2024-03", "2024-03-01T00:00:00Z", False),
        ("2024", "2024-01-01T00:00:00Z", False),
        ("2024-02-29", "2024-02-29T00:00:00Z", True),
        ("2024-03-01T13:00:00Z", "2024-03-01T13:00:00Z", False),
        ("2024-02-29T23:00:00Z", "2024-02-29T23:00:00Z", True),
        ("294247-01-10T04:00:54Z", "294247-01-10T04:00:54Z", False),  # the last there is
        ("294247-01-10", "294247-01-10T00:00:00Z", False),
    ],
)
def test_an_end_is_over_when_all_of_its_day_month_or_year_is(
    warehouse: Warehouse, ends: str, at: str, is_overdue: bool
) -> None:
    """Source: FHIR R4, "Data Types", Period: the end includes any moment that matches it."""
    for resource_type in ("CarePlan", "Task"):
        warehouse.exported(resource_type, "2024-03-01T12:00:00Z")
    plan = {"period_end": ends, "period_end_at": at}
    warehouse.add("core.care_plan", {"care_plan_id": "p1", "status": "active", **plan})
    allowed = {"restriction_period_end": ends, "restriction_period_end_at": at}
    warehouse.add("core.task", {"task_id": "t1", "status": "requested", **allowed})

    assert warehouse.mart("care_plan_progress", "is_overdue") == [(is_overdue,)]
    assert warehouse.mart("task_turnaround", "overdue") == [(int(is_overdue),)]


def test_a_care_plan_is_as_far_as_its_activities_and_goals(warehouse: Warehouse) -> None:
    warehouse.exported("CarePlan", "2024-03-01T00:00:00Z")
    warehouse.add(
        "core.care_plan",
        {"care_plan_id": "p1", "status": "active", "period_end_at": "2024-02-01T00:00:00Z"},
        {"care_plan_id": "p2", "status": "completed", "period_end_at": "2024-02-01T00:00:00Z"},
        {"care_plan_id": "p3", "status": "entered-in-error"},
    )
    states = ("completed", "completed", "in-progress", "not-started", None, "cancelled")
    warehouse.add(
        "core.care_plan_activity", *({"care_plan_id": "p1", "status": one} for one in states)
    )
    referred = ("Task", "done"), ("Task", "asked"), ("Task", "failed"), ("ServiceRequest", "active")
    warehouse.add(
        "core.care_plan_activity",
        *(
            {"care_plan_id": "p2", "reference_type": kind, "reference_id": name}
            for kind, name in (*referred, ("MedicationRequest", "held"), ("Appointment", "done"))
        ),
    )
    tasks = {"done": "completed", "asked": "requested", "failed": "failed"}
    warehouse.add("core.task", *({"task_id": one, "status": tasks[one]} for one in tasks))
    warehouse.add("core.service_request", {"service_request_id": "active", "status": "active"})
    held = {"medication_request_id": "held", "status": "on-hold"}
    warehouse.add("core.medication_request", held)
    goals = [{"care_plan_id": "p1", "goal_id": one} for one in ("g1", "g2", "gone")]
    warehouse.add("core.care_plan_goal", *goals)
    warehouse.add(
        "core.goal",
        {"goal_id": "g1", "achievement_status_code": "achieved"},
        {"goal_id": "g2", "achievement_status_code": "worsening"},
    )

    columns = (
        "care_plan_id, is_overdue, activities, completed, under_way, not_started, completed_share,"
        " goals, goals_achieved"
    )
    assert warehouse.mart("care_plan_progress", columns) == [
        ("p1", True, 5, 2, 1, 1, 0.4, 3, 1),
        ("p2", False, 5, 1, 2, 1, 0.2, 0, 0),
    ]
