"""Legal FHIR that is easy to trip over, and what is not quite FHIR: tables must not fail on it."""

from decimal import Decimal
from typing import Any

import pytest

from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline_tests.view_definitions.counting import rows_owed
from ecw_pipeline_tests.view_definitions.tables import (
    built_in_tables,
    example,
    main_table,
    rows_of,
    screened_file,
    table_rows,
)

every_table = pytest.mark.parametrize("name", sorted(built_in_tables()))


@every_table
def test_more_repeats_than_expected_give_more_rows_and_no_error(name: str) -> None:
    resource = repeated(example(main_table(name))["resource"], 3)

    rows = table_rows(name, resource)

    assert len(rows) == rows_owed(name, resource)


@every_table
def test_no_two_rows_of_a_resource_stand_in_the_same_place(name: str) -> None:
    rows = table_rows(name, repeated(example(main_table(name))["resource"], 2))

    key = [column for column in built_in_tables()[name].in_warehouse.row_key if column in rows[0]]
    places = [tuple(row[column] for column in key) for row in rows]
    assert len(set(places)) == len(places)


@every_table
def test_a_resource_with_nothing_but_an_id_is_one_row_of_its_main_table(name: str) -> None:
    table = built_in_tables()[name]

    rows = table_rows(name, {"resourceType": table.resource_type, "id": "bare"})

    assert len(rows) == (1 if table.is_main else 0)


@every_table
def test_empty_lists_and_objects_are_as_good_as_absent(name: str) -> None:
    resource = emptied(example(main_table(name))["resource"])

    assert len(table_rows(name, resource)) == rows_owed(name, resource)


def repeated(value: Any, times: int) -> Any:
    """The same JSON with every list that many times as long."""
    if isinstance(value, dict):
        return {key: repeated(inner, times) for key, inner in value.items()}
    return [repeated(inner, times) for inner in value * times] if isinstance(value, list) else value


def emptied(resource: dict[str, Any]) -> dict[str, Any]:
    kept = ("resourceType", "id")
    empty: dict[type, Any] = {list: [], dict: {}}
    return {
        key: value if key in kept else empty.get(type(value), value)
        for key, value in resource.items()
    }


@pytest.mark.parametrize(
    ("received", "understood"),
    [
        ("2024", "2024-01-01T00:00:00Z"),
        ("2024-05", "2024-05-01T00:00:00Z"),
        ("2024-05-06", "2024-05-06T00:00:00Z"),
        ("2024-05-06T10:00:00+02:00", "2024-05-06T08:00:00Z"),
        ("2024-05-06T10:00:00.123456789Z", "2024-05-06T10:00:00.123456Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("2024-05-06 10:00:00", "2024-05-06T10:00:00Z"),
        ("2024-05-06T10:00:00 America/New_York", None),
        ("2024-02-31", None),
        ("2024-13", None),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("2016-12-31T23:60:00Z", None),
        ("last spring", None),
        ("infinity", None),
        ("-Infinity", None),
        ("epoch", None),
        ("5877642-06-25", None),
        ("-2024-01-01", None),
        ("", None),
    ],
)
def test_a_date_keeps_its_text_and_is_a_moment_if_it_can(
    received: str, understood: str | None
) -> None:
    condition = {"resourceType": "Condition", "id": "c", "onsetDateTime": received}

    (row,) = table_rows("condition", condition)

    assert row["onset_date_time"] == received
    assert row.get("onset_at") == understood


def test_a_zone_that_one_text_names_is_not_that_of_the_next() -> None:
    times = ("2024-05-06T10:00:00 America/New_York", "2024-05-06T10:00:00")
    conditions = [
        {"resourceType": "Condition", "id": str(n), "onsetDateTime": time}
        for n, time in enumerate(times)
    ]

    with screened_file(conditions) as path:
        moments = rows_of("condition", path, "onset_at::VARCHAR AS onset_at")

    assert [row["onset_at"] for row in moments] == [None, "2024-05-06 10:00:00+00"]


def test_a_preferred_coding_is_never_mixed_with_another() -> None:
    local = {"system": "urn:local", "code": "S", "display": "sugar"}
    loinc = {"system": "http://loinc.org", "code": "2345-7"}
    observation = {"resourceType": "Observation", "id": "o", "code": {"coding": [local, loinc]}}

    (row,) = table_rows("observation", observation)

    assert row["code"] == "2345-7"
    assert "code_display" not in row


def test_without_a_preferred_coding_the_first_is_taken() -> None:
    codings = [{"system": "urn:a", "code": "A"}, {"system": "urn:b", "code": "B"}]
    observation = {"resourceType": "Observation", "id": "o", "code": {"coding": codings}}

    (row,) = table_rows("observation", observation)

    assert (row["code"], row["code_system"]) == ("A", "urn:a")
    assert "loinc_code" not in row


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ({"text": "Ann of the Hill", "family": "Hill"}, "Ann of the Hill"),
        ({"family": "Hill", "given": ["Ann", "Eva"]}, "Ann Eva Hill"),
        ({"family": "Hill"}, "Hill"),
        ({"given": ["Ann"]}, "Ann"),
        ({"given": [None, "Eva"], "_given": [{"id": "masked"}, None]}, "Eva"),
        ({"use": "official"}, None),
    ],
)
def test_a_patient_is_shown_by_what_is_known_of_the_name(
    name: dict[str, Any], shown: str | None
) -> None:
    (row,) = table_rows("patient", {"resourceType": "Patient", "id": "p", "name": [name]})

    assert row.get("name_text") == shown


def coded(system: str, code: str) -> dict[str, Any]:
    return {"class": {"code": "AMB"}, "type": [{"coding": [{"system": system, "code": code}]}]}


@pytest.mark.parametrize(
    ("encounter", "is_telehealth"),
    [
        ({"class": {"code": "VR"}}, True),
        ({"class": {"code": "AMB"}}, False),
        ({}, False),
        ({"type": [{"coding": [{"system": "http://snomed.info/sct", "code": "448337001"}]}]}, True),
        ({"type": [{"coding": [{"system": "urn:local", "code": "448337001"}]}]}, False),
        (
            {
                "class": {"code": "AMB"},
                "type": [
                    {"text": "x"},
                    {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "99442"}]},
                ],
            },
            True,
        ),
        (coded("http://www.ama-assn.org/go/cpt", "98000"), True),
        (coded("http://www.ama-assn.org/go/cpt", "98016"), True),
        (coded("http://www.ama-assn.org/go/cpt", "98017"), False),
        (coded("http://www.ama-assn.org/go/cpt", "98971"), True),
        (coded("http://www.ama-assn.org/go/cpt", "99213"), False),
        (coded("http://snomed.info/sct", "386472008"), True),
    ],
)
def test_telehealth_is_told_by_class_or_type(
    encounter: dict[str, Any], is_telehealth: bool
) -> None:
    (row,) = table_rows("encounter", {"resourceType": "Encounter", "id": "e", **encounter})

    assert row["is_telehealth"] is is_telehealth


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("us-core-sex", {"valueCode": "248152002"}),
        ("us-core-sex", {"valueCoding": {"code": "248152002"}}),
        ("us-core-individual-sex", {"valueCoding": {"code": "248152002"}}),
    ],
)
def test_sex_is_read_as_each_edition_of_us_core_writes_it(name: str, value: dict[str, Any]) -> None:
    extension = {"url": f"http://hl7.org/fhir/us/core/StructureDefinition/{name}", **value}

    (row,) = table_rows("patient", {"resourceType": "Patient", "id": "p", "extension": [extension]})

    assert row["sex_code"] == "248152002"


@pytest.mark.parametrize(
    ("deceased", "is_deceased"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2020"}, True),
    ],
)
def test_death_is_known_by_flag_or_date(deceased: dict[str, Any], is_deceased: bool) -> None:
    (row,) = table_rows("patient", {"resourceType": "Patient", "id": "p", **deceased})

    assert row["is_deceased"] is is_deceased


@pytest.mark.parametrize(
    ("effective", "column", "received", "understood"),
    [
        ("effectiveDateTime", "effective_date_time", "2024-05", "2024-05-01T00:00:00Z"),
        (
            "effectiveInstant",
            "effective_instant",
            "2024-05-06T10:00:00.5+02:00",
            "2024-05-06T08:00:00.500000Z",
        ),
        ("effectiveTiming", "effective_timing_events", "2024-05-06", None),
    ],
)
def test_an_observation_is_dated_by_any_form_of_effective(
    effective: str, column: str, received: str, understood: str | None
) -> None:
    value = {"event": [received]} if effective == "effectiveTiming" else received
    observation = {"resourceType": "Observation", "id": "o", effective: value}

    (row,) = table_rows("observation", observation)

    assert row[column] == received
    assert row.get("effective_at") == understood


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"valueString": "clear"}, {"value_type": "string", "value_string": "clear"}),
        ({"valueBoolean": False}, {"value_type": "boolean", "value_boolean": False}),
        ({"valueInteger": 7}, {"value_type": "integer", "value_integer": 7}),
        ({"valueTime": "06:30:00"}, {"value_type": "time", "value_time": "06:30:00"}),
        (
            {"valueDateTime": "2024"},
            {
                "value_type": "dateTime",
                "value_date_time": "2024",
                "value_at": "2024-01-01T00:00:00Z",
            },
        ),
        (
            {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 160}}},
            {
                "value_type": "Ratio",
                "value_numerator": 1.0,
                "value_numerator_text": "1",
                "value_denominator": 160.0,
                "value_denominator_text": "160",
            },
        ),
        (
            {"valueRange": {"high": {"value": Decimal("3.0"), "unit": "h"}}},
            {
                "value_type": "Range",
                "value_range_high": 3.0,
                "value_range_high_text": "3.0",
                "value_range_unit": "h",
            },
        ),
        (
            {"valueCodeableConcept": {"text": "yellow"}},
            {"value_type": "CodeableConcept", "value_text": "yellow"},
        ),
        (
            {"valuePeriod": {"start": "2024-01-01"}},
            {
                "value_type": "Period",
                "value_period_start": "2024-01-01",
                "value_period_start_at": "2024-01-01T00:00:00Z",
            },
        ),
        (
            {"valueSampledData": {"period": 10, "data": "1 2 3"}},
            {
                "value_type": "SampledData",
                "value_sampled_data": "1 2 3",
                "value_sampled_period": 10.0,
                "value_sampled_period_text": "10",
            },
        ),
        ({}, {}),
    ],
)
def test_an_observations_value_is_in_the_columns_of_its_type(
    value: dict[str, Any], told: dict[str, Any]
) -> None:
    (row,) = table_rows("observation", {"resourceType": "Observation", "id": "o", **value})

    assert row == {"observation_id": "o", "component_count": 0, **told}


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/pat_1",
        "Patient/pat_1/_history/2",
        "https://fhir.example.org/r4/Patient/pat_1",
        "https://fhir.example.org/r4/Patient/pat_1/_history/2",
    ],
)
def test_an_id_that_lands_is_referred_to_in_every_form_of_reference(reference: str) -> None:
    """Landing takes ids with an underscore, and of more than 64 characters."""
    for key in ("pat_1", "p" * 100):
        observation = {
            "resourceType": "Observation",
            "id": "o",
            "subject": {"reference": reference.replace("pat_1", key)},
        }

        [row] = table_rows("observation", observation)

        told = (row.get("patient_id"), row.get("subject_id"), row.get("subject_type"))
        assert told == (key, key, "Patient")


RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@pytest.mark.parametrize(
    "resource_type", ["MedicationRequest", "MedicationDispense", "MedicationAdministration"]
)
def test_a_medication_is_told_of_the_contained_one_that_is_referred_to(resource_type: str) -> None:
    named = {"coding": [{"system": RXNORM, "code": "582620", "display": "Axid"}], "text": "axid"}
    prescription = {
        "resourceType": resource_type,
        "id": "m",
        "contained": [
            {"resourceType": "Medication", "id": "other", "code": {"text": "another"}},
            {"resourceType": "Practitioner", "id": "med"},
            {"resourceType": "Medication", "id": "med", "code": named},
        ],
        "medicationReference": {"reference": "#med"},
    }

    (row,) = table_rows(snake_case(resource_type), prescription)

    told = {column: row.get(f"medication_{column}") for column in ("code", "display", "text", "id")}
    assert told == {"code": "582620", "display": "Axid", "text": "axid", "id": None}
    assert row["rxnorm_code"] == "582620"
