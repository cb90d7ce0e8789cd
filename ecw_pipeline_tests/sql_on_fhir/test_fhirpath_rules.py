"""Rules of FHIRPath that are easily got wrong, each with what it says."""

from decimal import Decimal
from typing import Any

import pytest

from ecw_pipeline.sql_on_fhir.compiler import run_view
from ecw_pipeline_tests.sql_on_fhir.test_functions import PATIENT, value_of

Cases = list[tuple[str, Any]]

EMPTY_IN_EMPTY_OUT: Cases = [
    ("'abc'.substring({})", None),
    ("'abc'.substring(1, {})", "bc"),  # as if no length was given
    ("'abc'.startsWith({})", None),
    ("'abc' & {}", "abc"),
    ("'abc' + {}", None),
    ("{}.count()", 0),
    ("{}.allTrue()", True),
    ("{}.anyTrue()", False),
    ("{}.isDistinct()", True),
    ("{}.subsetOf(name)", True),
    ("name.subsetOf({})", False),
    ("name.given.join({})", "BeaCy"),
    ("{} in name.given", None),
    ("'Bea' in {}", False),
    ("{} = {}", None),
    ("{} ~ {}", True),
    ("gender is code", None),
    ("deceased is boolean", None),
    ("gender.convertsToInteger()", None),
    ("{}.not()", None),
    ("{}.getResourceKey()", None),
    ("{}.getReferenceKey(Patient)", None),
    ("true and {}", None),
    ("false and {}", False),
    ("true or {}", True),
    ("{} xor true", None),
    ("{} implies true", True),
]
POSITIONS: Cases = [
    ("name[-1].family", None),
    ("name[5].family", None),
    ("name[name.count() - 1].family", "Smith"),
    ("name.skip(-1).count()", 2),
    ("name.take(-1).count()", 0),
    ("'abc'.substring(-1)", None),
]
NUMBERS: Cases = [
    ("iif(true, 1, 1.5)", Decimal(1)),
    ("iif(true, telecom.rank.first(), 7)", 2),
    ("3 * 2", 6),
    ("(-1.587).lowBoundary()", Decimal("-1.5875")),
    ("(1.5 + 0.25).highBoundary()", Decimal("1.755")),
    ("2147483647 * 2", None),
    ("(-2147483647 - 1).abs()", None),
    ("-(-2147483647 - 1)", None),
    ("0.3 div 0.1", 3),
    ("5.5 mod 0.7", Decimal("0.6")),
    ("-7 div 2", -3),
    ("-7 mod 2", -1),
    ("1 div 0", None),
    ("1.25.round(1)", Decimal("1.3")),
    ("(-2.5).round()", Decimal(-3)),
    ("81.sqrt()", Decimal(9)),
    ("(-1).sqrt()", None),
    ("2.power(3)", Decimal(8)),
    ("2.5.power(2)", Decimal("6.25")),
    ("(-1).power(0.5)", None),
    ("0.power(-1)", None),
    ("0.exp()", Decimal(1)),
    ("1.ln()", Decimal(0)),
    ("0.ln()", None),
    ("100.0.log(10.0)", Decimal(2)),
    ("100.log(1)", None),
    ("16.log({})", None),
    ("1000.exp()", None),
    ("1.0 ~ 1.04", True),  # to the digits of the less precise
    ("1.1 ~ 1.14", True),
    ("1.1 ~ 1.2", False),
    ("(1 | 1.0 | 2).count()", 2),
    ("1 in (1.00 | 2.0)", True),
]
MOMENTS: Cases = [
    ("@2012 = @2012-01", None),
    ("@2012 != @2013-01", True),
    ("@2012-01-31 < @2012-02", True),
    ("@2012-01 <= @2012-01-31", None),
    ("@2012-01 <= @2012-01", True),
    ("@2012-01 ~ @2012", False),
    ("@2024-01-01T01:00:00+02:00 = @2023-12-31T23:00:00Z", True),
    ("@2024-01-01T10:00:00Z < @2024-01-01T10:00:00.5Z", True),
    ("@2024-01-01T10:30 > @2024-01-01T10:29:59Z", True),
    ("@2024-01-01T10:30 >= @2024-01-01T10:30:00Z", None),
    ("@2024-01-01T10:30 < @2024-01-01T10:31:00Z", True),
    ("@2024-01-01T10 = @2024-01-01T10:59:00Z", None),
    ("@2024-01-01T10 < @2024-01-01T11:00:00Z", True),
    ("@2024-01-01T10+02:00 = @2024-01-01T08Z", True),
    ("@2024-01-01T01:00:00+02:00 in (@2023-12-31T23:00:00Z | @2020)", True),
    ("(@2024-01-01T01:00:00+02:00 | @2023-12-31T23:00:00.000Z).count()", 1),
    ("(@2012 | @2012-01).count()", 2),
    ("(@2012 | @2013) = (@2012-05 | @2013)", None),
    ("(@2012 | @2013) = (@2012-05 | @2014)", False),
    ("(@2012 | @2013) = @2012", False),
    ("@T10:00:00 = @T10:00:00.000", True),
    ("birthDate >= '1979'", True),
    ("birthDate.toDateTime()", "1980-05"),
]
SETS: Cases = [
    ("name.given.intersect('Cy' | 'Zed')", "Cy"),
    ("name.given.exclude('Cy')", "Bea"),
    ("name.given.subsetOf('Cy' | 'Bea' | 'Zed')", True),
    ("name.given.supersetOf('Cy')", True),
    ("(name.given | 'Zed').count()", 3),
    ("(name.given | name.given).count()", 2),
    ("name.given.combine(name.given).count()", 4),
    ("('b' | 'A') ~ ('a' | 'B')", True),
    ("('b' | 'A') = ('A' | 'b')", False),
    ("name.given = 'Bea'", False),
    ("name = name", True),
]
CONVERSIONS: Cases = [
    ("'true'.toInteger()", None),
    ("true.toInteger()", 1),
    ("1.5.toInteger()", None),
    ("' 1'.toDecimal()", None),
    ("'1e3'.toDecimal()", None),
    ("'+1.50'.toDecimal()", Decimal("1.5")),
    ("2.toBoolean()", None),
    ("1.0.toBoolean()", True),
    ("'Y'.toBoolean()", True),
    ("'2020-02-30'.toDate()", None),
    ("'2020-02-28T10:00:00Z'.toDate()", None),
    ("'2020-02'.toDate()", "2020-02"),
    ("@2020-02-28T10:00:00Z.toDate()", "2020-02-28"),
    ("'24:00:00'.toTime()", None),
    ("1.10.toString()", "1.10"),
    ("'1.5'.convertsToInteger()", False),
    ("'1.5'.convertsToDecimal()", True),
]
TEXT: Cases = [
    ("'abc'.replace('', '-')", "-a-b-c-"),
    ("'abc'.replaceMatches('', '-')", "abc"),
    ("'2024-05'.replaceMatches('(.*)-(.*)', '$2/$1')", "05/2024"),
    (r"'a'.replaceMatches('a', '\\')", "\\"),
    ("'abc'.indexOf('')", 0),
    ("'A\tb' ~ 'a B'", True),
    ("'😀a'.substring(1)", "a"),
    ("'😀a\nb'.toChars().join('|')", "😀|a|\n|b"),
    ("''.toChars().count()", 0),
    ("{}.toChars().count()", 0),
    ("'😀'.length()", 1),
    ("active & 1", "true1"),
]
TYPES: Cases = [
    ("id is string", True),
    ("id is System.String", True),
    ("id.ofType(string)", "p1"),
    ("$this is DomainResource", True),
    ("multipleBirth is integer", True),
    ("multipleBirth is boolean", False),
    ("extension.value.ofType(string)", None),
    ("name.given.hasValue()", False),  # only one value has a value
    ("name.hasValue()", False),
    ("multipleBirth.hasValue()", True),
]
SCOPES: Cases = [
    ("name.where($index = 1).family", "Smith"),
    ("name.where(%context.active).count()", 2),
    ("name.select(given.where($this.length() > %resource.id.length())).first()", "Bea"),
    ("contained.where(id = 'o').id", "o"),
    ("extension(extension.url.first()).url", "size"),  # the url is the patient's, not the item's
]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *EMPTY_IN_EMPTY_OUT, *POSITIONS, *NUMBERS, *MOMENTS, *SETS, *CONVERSIONS, *TEXT, *TYPES,
        *SCOPES,
    ],
)  # fmt: skip
def test_a_rule(path: str, expected: Any) -> None:
    value = value_of(path, PATIENT)
    assert (value, type(value)) == (expected, type(expected))


FORMS = {
    "resourceType": "Patient",
    "id": "p",
    "extension": [
        {"url": "u", "valueQuantity": {"code": "mg"}},
        {"url": "u", "valueCoding": {"code": "c"}},
        {"url": "u", "valueTiming": {"code": {"text": "no code of one value"}}},
    ],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("extension('u').value.code.join(',')", "mg,c"),
        ("extension.last().value.code", None),
        ("extension.skip(1).first().value.code", "c"),
        ("extension.where(value.code = 'c').count()", 1),
    ],
)
def test_an_element_of_several_forms_is_that_of_the_form_that_is_there(
    path: str, expected: Any
) -> None:
    assert value_of(path, FORMS) == expected


DERIVED = {
    "resourceType": "Condition",
    "id": "c",
    "onsetAge": {"value": 42, "unit": "a"},
    "extension": [{"url": "u", "valueCode": "x"}, {"url": "u", "valueString": "y"}],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("onset.ofType(Quantity).unit", "a"),
        ("(onset as Quantity).unit", "a"),
        ("onset is Quantity", True),
        ("onset is Age", True),
        ("onset is dateTime", False),
        ("extension.value.ofType(string).join()", "y"),  # it has a form of just that type
    ],
)
def test_a_form_of_a_derived_type_is_of_the_type_too(path: str, expected: Any) -> None:
    assert value_of(path, DERIVED) == expected


ANSWERED = {
    "resourceType": "QuestionnaireResponse",
    "id": "q",
    "item": [
        {
            "linkId": "1",
            "item": [
                {"linkId": "1.1", "answer": [{"valueInteger": 3, "item": [{"linkId": "1.1.1"}]}]},
                {"linkId": "1.2"},
                {"linkId": "1.2"},  # equal to the one before
            ],
        },
        {"linkId": "2"},
    ],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("repeat(item).linkId.join(' ')", "1 1.1 1.2 2"),
        ("item.repeat(item).linkId.join(' ')", "1.1 1.2"),
        ("item.first().repeat(item).linkId.join(' ')", "1.1 1.2"),
        ("where(id = 'q').repeat(item).count()", 4),
        ("repeat(item | answer.item).linkId.join(' ')", "1 1.1 1.1.1 1.2 2"),
        ("repeat(item).where(linkId = '1.1').answer.value.ofType(integer)", 3),
        ("item.where(repeat(item).exists(linkId = '1.1')).linkId", "1"),
        ("repeat(nosuch).count()", 0),
    ],
)
def test_repeat_follows_a_structure_into_itself(path: str, expected: Any) -> None:
    assert value_of(path, ANSWERED) == expected


def test_repeat_may_be_iterated_over() -> None:
    columns = [{"name": "link", "path": "linkId"}, {"name": "n", "path": "%rowIndex"}]
    select = [{"forEach": "repeat(item)", "column": columns}]
    view = {"resource": "QuestionnaireResponse", "select": select}

    rows = [(row["link"], row["n"]) for row in run_view(view, [ANSWERED]).rows]
    assert rows == [("1", 0), ("1.1", 1), ("1.2", 2), ("2", 3)]


EXTENDED = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1970",
    "_birthDate": {"extension": [{"url": "day"}]},
    "name": [
        {
            "given": ["Ann", None, "Bea"],
            "_given": [
                None,
                {"extension": [{"url": "why"}]},
                {"id": "g", "extension": [{"url": "b"}]},
            ],
        },
        {"family": "F", "given": ["Cy"], "_given": [{"extension": [{"url": "c"}]}]},
        {"_family": {"extension": [{"url": "unknown"}]}},
    ],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("name.given[1].extension.url", "b"),  # of the second that has a value
        ("name.given[1].id", "g"),
        ("name.given.first().extension.url", None),
        ("name.given.last().extension.url", "c"),
        ("name.given.skip(1).extension.url.join(' ')", "b c"),
        ("name.given.tail().first().extension('b').url", "b"),
        ("name.family.first().extension.url", None),
        ("name.first().given.where(extension.exists())", "Bea"),
        ("name.given.where($this = 'Cy').extension.url", "c"),
        ("name.given.where($this != 'Ann').first().extension.url", "b"),
        ("name.given.select($this & ' ' & extension.url).join(', ')", "Ann , Bea b, Cy c"),
        ("name.where(family = 'F').given.first().extension.url", "c"),
        ("birthDate.where($this > @1960).extension.url", "day"),
        ("where(id = 'p').name.given[1].extension.url", "b"),
        ("name.given.extension.url.join(' ')", "why b c"),  # right after it, of all
    ],
)
def test_what_is_beside_a_primitive_is_found_by_its_position(path: str, expected: Any) -> None:
    assert value_of(path, EXTENDED) == expected


@pytest.mark.parametrize("given", ["name.given", "name.given.where($this.exists())"])
def test_an_iterated_primitive_has_its_extensions(given: str) -> None:
    columns = [{"name": "v", "path": "$this"}, {"name": "e", "path": "extension.url"}]
    view = {"resource": "Patient", "select": [{"forEach": given, "column": columns}]}

    rows = [(row["v"], row["e"]) for row in run_view(view, [EXTENDED]).rows]
    assert rows == [("Ann", None), ("Bea", "b"), ("Cy", "c")]


@pytest.mark.parametrize(
    ("deceased", "path", "expected"),
    [
        ({"deceasedBoolean": True}, "deceased = true", True),
        ({"deceasedBoolean": False}, "deceased != false", False),
        ({"deceasedDateTime": "2020"}, "deceased.exists() and deceased != false", True),
        ({"deceasedDateTime": "2020"}, "false = deceased", False),
        ({"deceasedDateTime": "2020"}, "deceased = @2020", True),
        ({"deceasedDateTime": "2020"}, "deceased = '2020'", True),
        ({"deceasedDateTime": "2020"}, "deceased = @2020-05", None),
        ({"deceasedDateTime": "2020"}, "deceased = {}", None),
        ({"deceasedDateTime": "2020"}, "deceased = gender", None),
        ({}, "deceased = true", None),
    ],
)
def test_a_choice_equals_a_value_only_of_its_type(
    deceased: dict[str, Any], path: str, expected: Any
) -> None:
    assert value_of(path, {"resourceType": "Patient", "id": "p", **deceased}) == expected


def test_a_choice_in_a_list_equals_a_value_only_of_its_type() -> None:
    parts = [{"valueString": "x"}, {"valueInteger": 1}, {"valueDateTime": "2020"}, {}]
    observation = {"resourceType": "Observation", "id": "o", "component": parts}

    assert value_of("component.where(value = 'x').count()", observation) == 1
    assert value_of("component.where(value != 'x').count()", observation) == 2
