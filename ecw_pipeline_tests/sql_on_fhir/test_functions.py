"""What paths mean, one line each: beyond what the official tests ask."""

from decimal import Decimal
from typing import Any

import pytest

from ecw_pipeline.sql_on_fhir.compiler import run_view

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "birthDate": "1980-05",
    "_birthDate": {"extension": [{"url": "time", "valueDateTime": "1980-05-01T10:00:00Z"}]},
    "name": [
        {
            "family": "O'Neil",
            "given": [None, "Bea"],
            "_given": [{"extension": [{"url": "why", "valueString": "unknown"}]}, None],
        },
        {"family": "Smith", "given": ["Cy"]},
    ],
    "contained": [
        {"resourceType": "Organization", "id": "o", "name": "Clinic"},
        {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Doc"}]},
    ],
    "managingOrganization": {"reference": "http://h/fhir/Organization/o2/_history/3"},
    "multipleBirthInteger": 2,
    "extension": [{"url": "size", "valueDecimal": Decimal("1.10")}],
    "telecom": [
        {"system": "phone", "value": "1", "rank": 2},
        {"system": "email", "value": "b", "rank": 1},
    ],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "valueQuantity": {"value": Decimal("12345678901234567.890"), "unit": "mg"},
    "effectiveDateTime": "2024-01-15T10:00:00+02:00",
    "referenceRange": [{"low": {"value": Decimal("1E-7")}, "high": {"value": Decimal("2.50")}}],
}

PATIENT_PATHS: list[tuple[str, Any]] = [
    # Literals and names
    ("'a\\u0041\\'b'", "aA'b"),
    ("`active`", True),
    ("Patient.name.first().family", "O'Neil"),
    ("%resource.id", "p1"),
    # Collections
    ("name.given.count()", 2),
    ("name.given.first()", "Bea"),
    ("name.given.last()", "Cy"),
    ("name.given.tail()", "Cy"),
    ("name.given.skip(1)", "Cy"),
    ("name.given.take(1)", "Bea"),
    ("name.given.isDistinct()", True),
    ("('a' | 'b' | 'a').count()", 2),
    ("name.combine(name).count()", 4),
    ("'Cy' in name.given", True),
    ("name.given contains 'Zed'", False),
    ("1 in (1.0 | 2)", True),
    ("name.given.all($this.length() > 2)", False),
    ("telecom.where($index = 1).value", "b"),
    ("telecom.where(rank = 1).value", "b"),
    ("telecom.exists(value = '1')", True),
    ("telecom.select(system & ':' & value).join(' ')", "phone:1 email:b"),
    ("name.where(given.exists($this = 'Cy')).family", "Smith"),
    ("name.exists(family = 'Smith' and given.count() = 1)", True),
    ("name.first().where(family = 'x').given.exists()", False),
    # Conditions and logic
    ("iif(active, 'y', 'n')", "y"),
    ("iif(active.not(), 'y')", None),
    ("iif(true, 1, 1.5)", Decimal(1)),
    ("true xor false", True),
    ("true implies {}", None),
    ("false implies {}", True),
    # Text
    ("'abcdef'.substring(1, 3)", "bcd"),
    ("'abcdef'.substring(2)", "cdef"),
    ("'abc'.substring(9)", None),
    ("name.family.first().startsWith('O')", True),
    ("'abc'.endsWith('bc')", True),
    ("'abc'.contains('b')", True),
    ("'abc'.indexOf('c')", 2),
    ("'abc'.indexOf('z')", -1),
    ("'abc'.matches('^a.c$')", True),
    ("'a.b'.replace('.', '-')", "a-b"),
    ("'a1b2'.replaceMatches('[0-9]', '')", "ab"),
    ("'x'.upper()", "X"),
    ("'a,b'.split(',').count()", 2),
    ("' a '.trim()", "a"),
    ("'a' & {} & 'b'", "ab"),
    ("'A  b' ~ 'a B'", True),
    ("{} ~ {}", True),
    # Numbers
    ("-1 + 3", 2),
    ("7 div 2", 3),
    ("7 mod 2", 1),
    ("7 / 2", Decimal("3.5")),
    ("1 / 0", None),
    ("2147483648 > 1", True),
    ("(multipleBirth as integer) + 0.5", Decimal("2.5")),
    ("multipleBirth is integer", True),
    ("extension('size').value.ofType(decimal)", Decimal("1.10")),
    ("extension('size').value.ofType(decimal) = 1.1", True),
    # Conversions
    ("'12'.toInteger() + 1", 13),
    ("'x'.toInteger()", None),
    ("'1.5'.toDecimal() + 1", Decimal("2.5")),
    ("'true'.toBoolean()", True),
    ("multipleBirth.ofType(integer).toString()", "2"),
    ("'2024-01-02'.toDate() > @2023", True),
    # Dates, by precision
    ("birthDate < @1981", True),
    ("birthDate = @1980-05-01", None),
    ("birthDate = @1980-05", True),
    ("@T12:00:00 < @T13:00:00", True),
    # Extensions, contained resources, references
    ("birthDate.extension('time').value.ofType(dateTime)", "1980-05-01T10:00:00Z"),
    ("name.given.extension('why').value.ofType(string)", "unknown"),
    ("contained.ofType(Organization).name", "Clinic"),
    ("contained.ofType(Practitioner).name.family", "Doc"),
    ("managingOrganization.getReferenceKey(Organization)", "o2"),
    ("managingOrganization.getReferenceKey(Patient)", None),
]
OBSERVATION_PATHS: list[tuple[str, Any]] = [
    ("value.unit", "mg"),
    ("value.exists()", True),
    ("value.ofType(Quantity).value", Decimal("12345678901234567.890")),
    ("value.ofType(Quantity).value > 12345678901234567.889", True),
    ("value.ofType(Quantity).value * 2", Decimal("24691357802469135.78")),
    ("value.ofType(Quantity).value.toString()", "12345678901234567.890"),
    ("referenceRange.low.value < 0.000001", True),
    ("referenceRange.high.value = 2.5", True),
    ("referenceRange.high.value.first().highBoundary()", Decimal("2.505")),
    ("effective.ofType(dateTime) < @2024-01-16", True),
    ("effective.ofType(dateTime) > @2024-01-15T07:59:59Z", True),
    ("effective.ofType(dateTime) = @2024-01-15T08:00:00Z", True),
    ("effective.ofType(dateTime) = @2024-01-15", None),
]


def value_of(path: str, resource: dict[str, Any]) -> Any:
    column = {"name": "v", "path": path}
    view = {"resource": resource["resourceType"], "select": [{"column": [column]}]}
    return run_view(view, [resource]).rows[0]["v"]


@pytest.mark.parametrize(("path", "expected"), PATIENT_PATHS)
def test_a_path_over_a_patient(path: str, expected: Any) -> None:
    value = value_of(path, PATIENT)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(("path", "expected"), OBSERVATION_PATHS)
def test_a_path_over_an_observation(path: str, expected: Any) -> None:
    value = value_of(path, OBSERVATION)
    assert (value, type(value)) == (expected, type(expected))


def test_digits_survive_as_they_were_sent() -> None:
    assert str(value_of("value.ofType(Quantity).value", OBSERVATION)) == "12345678901234567.890"


def test_a_complex_element_comes_out_as_json() -> None:
    assert value_of("referenceRange.low", OBSERVATION) == '{"value": "1E-7"}'.replace(" ", "")


def test_a_complex_element_can_be_entered_and_taken_whole() -> None:
    columns = [
        {"name": "whole", "path": "name.first()"},
        {"name": "family", "path": "name.first().family"},
    ]
    view = {"resource": "Patient", "select": [{"column": columns}]}
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "F", "use": "old"}]}
    assert run_view(view, [patient]).rows == [
        {"whole": '{"family":"F","use":"old"}', "family": "F"}
    ]


def rows_of(*selects: dict[str, Any]) -> list[dict[str, Any]]:
    return run_view({"resource": "Patient", "select": list(selects)}, [PATIENT]).rows


@pytest.mark.parametrize(
    ("path", "column", "expected"),
    [
        ("$this", "id", ["p1"]),
        ("where(active)", "id", ["p1"]),
        ("where(active.not())", "id", []),
        ("name.first()", "family", ["O'Neil"]),
        ("name.given", "$this", ["Bea", "Cy"]),
        ("'b' | 'a' | 'b'", "$this", ["b", "a"]),
        ("name | contact.name", "family", ["O'Neil", "Smith"]),
        ("iif(active, name, contact.name)", "family", ["O'Neil", "Smith"]),
        ("contained.ofType(Organization)", "name", ["Clinic"]),
        ("name", "%resource.id", ["p1", "p1"]),
    ],
)
def test_what_a_view_may_iterate_over(path: str, column: str, expected: list[str]) -> None:
    rows = rows_of({"forEach": path, "column": [{"name": "v", "path": column}]})
    assert [row["v"] for row in rows] == expected


def test_a_node_of_a_walk_can_be_entered_and_taken_whole() -> None:
    columns = [{"name": "url", "path": "url"}, {"name": "whole", "path": "$this"}]
    (row,) = rows_of({"repeat": ["extension"], "column": columns})
    assert row == {"url": "size", "whole": '{"url":"size","valueDecimal":"1.10"}'}
