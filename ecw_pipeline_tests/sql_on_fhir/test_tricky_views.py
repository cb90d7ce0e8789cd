"""Views that a reviewer would write to break a compiler, read by the plain reading as well."""

import json
from decimal import Decimal
from typing import Any

import pytest

from ecw_pipeline_tests.sql_on_fhir.plain_comparison import assert_agreement, compiled_outcome

Json = dict[str, Any]

RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
PATIENTS: list[Json] = [
    {"resourceType": "Patient", "id": "nothing"},
    {"resourceType": "Patient"},
    {"resourceType": "Patient", "id": "null", "name": None, "active": None, "telecom": []},
    {"resourceType": "Patient", "id": "unknown", "colour": "blue", "name": [{"nick": "B"}]},
    {
        "resourceType": "Patient",
        "id": "full",
        "active": True,
        "gender": "female",
        "birthDate": "1980-05",
        "_birthDate": {"extension": [{"url": "time", "valueDateTime": "1980-05-01T10:00:00Z"}]},
        "deceasedDateTime": "2024-02-29T23:30:00-05:00",
        "multipleBirthInteger": 2,
        "identifier": [
            {"system": "urn:mrn", "value": "1", "type": {"coding": [{"code": "MR"}]}},
            {"system": "urn:ssn", "value": "2", "assigner": {"reference": "Organization/o"}},
            {"value": "no system"},
        ],
        "name": [
            {"use": "official", "family": "Müller-O'Neil", "given": ["Zoë", "B"], "prefix": ["Dr"]},
            {"use": "old", "family": "患者", "given": [None, "C"], "period": {"end": "2001"}},
            {"text": "only text"},
        ],
        "telecom": [
            {"system": "phone", "value": "+1 (2)", "rank": 2, "use": "home"},
            {"system": "email", "value": "a@b", "rank": 1},
            {"system": "phone", "rank": 3},
        ],
        "contact": [
            {
                "name": {"family": "K", "given": ["L"]},
                "telecom": [{"system": "phone", "value": "9"}],
                "relationship": [{"coding": [{"code": "N"}, {"code": "E"}]}, {"text": "kin"}],
            },
            {"telecom": [{"system": "email"}, {"value": "x"}]},
        ],
        "address": [{"line": ["1", "2"], "city": "c"}, {"line": ["3"]}, {"country": "d"}],
        "generalPractitioner": [
            {"reference": "Practitioner/p"},
            {"reference": "http://h/fhir/Organization/o/_history/2", "type": "Organization"},
            {"reference": "#c"},
            {"reference": "urn:uuid:5b"},
            {"identifier": {"value": "logical"}},
            {"reference": "Practitioner?identifier=x"},
        ],
        "contained": [
            {"resourceType": "Organization", "id": "c", "name": "Clinic", "alias": ["K1", "K2"]},
            {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Doc"}]},
        ],
        "extension": [
            {
                "url": RACE,
                "extension": [
                    {"url": "ombCategory", "valueCoding": {"code": "2106-3", "system": "s"}},
                    {"url": "detailed", "valueCoding": {"code": "2108-9"}},
                    {"url": "text", "valueString": "White"},
                ],
            },
            {"url": "size", "valueDecimal": Decimal("1.10")},
        ],
    },
]  # fmt: skip
OBSERVATIONS: list[Json] = [
    {"resourceType": "Observation", "id": "nothing"},
    {
        "resourceType": "Observation",
        "id": "pressure",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}, {"code": "bp"}]},
        "subject": {"reference": "Patient/full"},
        "effectiveDateTime": "2024-01-15",
        "issued": "2024-01-15T10:00:00.250+02:00",
        "component": [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
                "valueQuantity": {"value": Decimal("120.50"), "unit": "mm[Hg]"},
            },
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]},
                "valueQuantity": {"value": Decimal("80"), "unit": "mm[Hg]"},
            },
            {"code": {"text": "note"}, "valueString": "sitting"},
        ],
        "referenceRange": [{"low": {"value": Decimal("1E-3")}, "high": {"value": 5}}, {}],
    },
    {
        "resourceType": "Observation",
        "id": "coded",
        "status": "amended",
        "valueCodeableConcept": {"coding": [{"code": "pos"}], "text": "Positive"},
        "effectivePeriod": {"start": "2024-01-01", "end": "2024-02"},
        "subject": {"reference": "Group/g"},
    },
]
ANSWERS: list[Json] = [
    {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "item": [
            {"linkId": "1", "item": [{"linkId": "1.1", "answer": [{"valueInteger": 45}]}]},
            {
                "linkId": "2",
                "answer": [
                    {"valueBoolean": True, "item": [{"linkId": "2.1"}, {"linkId": "2.2"}]},
                    {"valueCoding": {"code": "x"}},
                ],
            },
        ],
    }
]
RESOURCES = {
    "Patient": PATIENTS,
    "Observation": OBSERVATIONS,
    "QuestionnaireResponse": ANSWERS,
}

PATIENT_PATHS = [
    # Names, comments, quotes
    "`name`[0].`family`",
    "name /* all */ .first() // the first\n.family",
    "name.where(family = '\\u60a3\\u8005').given.last()",
    "name.where(family = 'M\\u00fcller-O\\'Neil').exists()",
    "name.where(family='Müller-O\\'Neil').prefix.first() & '\\t' & id",
    "Patient.name.first().family",
    "Patient.Patient.id",
    "Resource.id & DomainResource.name.count().toString()",
    "%resource.name.first().family & %context.id & %rootResource.id",
    "'// no comment' & '/* nor this */'",
    # Conditions inside conditions, and what $this is there
    "name.where(given.where($this = 'B').exists()).family",
    "name.where(given.exists($this.length() = %resource.name.count() - 2)).family.first()",
    "name.where($this.given.count() > $this.prefix.count()).count()",
    "contact.where(telecom.where(system = 'phone' and value.exists()).exists()).name.family",
    "contact.where(relationship.coding.where(code = 'E').exists()).telecom.value",
    "contact.relationship.coding.where($index = 1).code",
    "contact.select(relationship.coding.where($index = 1).code).first()",
    "contact.all(telecom.exists(system = 'phone' or value = 'x'))",
    "name.all(family.exists() or text.exists())",
    "name.where($this.family.exists().not()).text",
    "telecom.where(rank > 1).where(value.exists()).value",
    "telecom.where(rank = %resource.telecom.rank.first()).value",
    "telecom.select(rank).where($this > 1).count()",
    "telecom.rank.where($this > 1).select($this * 10).last()",
    "telecom.where(system = 'phone').first().where(use = 'home').value",
    "telecom.where({}).exists()",
    "name.where(true).where(false).empty()",
    "telecom.skip(1).where($index = 0).value",
    # Choices
    "deceased.exists()",
    "deceased is dateTime",
    "deceased.ofType(boolean)",
    "deceased.ofType(dateTime) > @2024-02-29",
    "deceased.ofType(dateTime) > @2024-03-01T04:29:59Z",
    "deceasedDateTime",
    "(multipleBirth as integer) > 1",
    "multipleBirth.ofType(integer) + 1",
    "iif(multipleBirth is integer, multipleBirth.ofType(integer), 1)",
    "iif(deceased is boolean, deceased.ofType(boolean), deceased.exists())",
    # Extensions
    f"extension('{RACE}').extension('ombCategory').value.ofType(Coding).code",
    f"extension.where(url = '{RACE}').extension.where(url = 'text').value.ofType(string)",
    f"extension('{RACE}').extension('detailed').value.ofType(Coding).code",
    f"extension('{RACE}').extension.value.ofType(Coding).code.join('|')",
    "extension('size').value.ofType(decimal) * 2",
    "extension('size').valueDecimal",
    "extension('none').value.ofType(string)",
    "birthDate.extension('time').value.ofType(dateTime)",
    "birthDate.extension.exists()",
    "name.given.extension.exists()",
    # References and keys
    "generalPractitioner.getReferenceKey(Practitioner).first()",
    "generalPractitioner.getReferenceKey().count()",
    "generalPractitioner.getReferenceKey(Organization).last()",
    "generalPractitioner.where(getReferenceKey(Practitioner).exists()).count()",
    "generalPractitioner.where(reference.startsWith('#')).getReferenceKey().empty()",
    "generalPractitioner.reference.first().split('/').last()",
    "identifier.where(system = 'urn:mrn').value",
    "identifier.where(system.empty()).value",
    "identifier.where(type.coding.exists(code = 'MR')).value",
    "identifier.where(system = 'urn:ssn').assigner.getReferenceKey(Organization)",
    "getResourceKey() & '!'",
    # Contained
    "contained.ofType(Organization).alias.last()",
    "contained.ofType(Organization).where(name = 'Clinic').id",
    "contained.where($this is Practitioner).id",
    "contained.ofType(Practitioner).name.family",
    "contained.ofType(Organization).getResourceKey()",
    "contained.count()",
    "contained.where(resourceType = 'Organization').name.first()",
    "contained.where($this is Practitioner).name.family.first()",
    "contained.where(resourceType = 'Practitioner' and id.exists()).count()",
    "contained.where(resourceType != 'Practitioner').id.first()",
    "contained.where(resourceType = 'Nothing').id.first()",
    "contained.exists(resourceType = 'Organization')",
    # Collections as values
    "name.given.join(' ')",
    "name.given.distinct().count() = name.given.count()",
    "(name.given | contact.name.given).count()",
    "name.given.combine(name.given).distinct().count()",
    "name.given.exclude(name.where(use = 'old').given).join()",
    "name.family.intersect(name.family).count()",
    "name.first() = name[0]",
    "name.skip(1).first() = name[1]",
    "name = name.where(true)",
    "name.exists() and name.given.first() = 'Zoë'",
    "(name.family | 'x').where($this != 'x').first()",
    "iif(name.count() > 1, name.tail(), name).family.first()",
    "address.line.count()",
    "address.select(line.first()).last()",
    "address.select(line.count()).last()",
    "address.where(line.count() = 2).city",
    "address.line[2]",
    "telecom[telecom.count() - 1].rank",
    # Unknown elements
    "colour",
    "name.nick",
    "name.first().nick.foo.bar.exists()",
    "colour.empty() and name.nick.empty()",
    # Numbers, dates, conversions
    "telecom.rank.first() / 4",
    "(telecom.rank.first() + 0.5) * 2 - 1",
    "-telecom.rank.first() + 1",
    "telecom.rank.first() div 2 + telecom.rank.first() mod 2",
    "birthDate < @1980-06 and birthDate > @1980-04",
    "birthDate < @1980-05-10",
    "birthDate.toString().substring(0, 4).toInteger() + 44",
    "birthDate.lowBoundary().toString() & '/' & birthDate.highBoundary().toString()",
    "active.toString().upper()",
    "id.length().toString().length()",
    "true and active",
    "active implies gender = 'female'",
    "active xor gender.exists()",
    "gender in ('male' | 'female')",
    "'FEMALE' ~ gender",
    "name.family.first().matches('^M.*l$')",
    "name.family.first().replaceMatches('[^A-Za-z]', '_')",
    "name.family.first().indexOf('O')",
]
OBSERVATION_PATHS = [
    "value.ofType(CodeableConcept).coding.first().code",
    "value.coding.code",
    "value.text",
    "value.exists()",
    "value is Quantity",
    "value is CodeableConcept",
    "(value as CodeableConcept).text",
    "component.value.ofType(Quantity).value.first()",
    "component.where(code.coding.exists(code = '8480-6')).value.ofType(Quantity).value",
    "component.where(value is string).value.ofType(string)",
    "component.where(value.exists()).count()",
    "component.value.ofType(Quantity).where(value > 100).unit",
    "component.value.ofType(Quantity).value.select($this + 1).last()",
    "component[0].value.ofType(Quantity).value - component[1].value.ofType(Quantity).value",
    "effective.ofType(dateTime) = @2024-01-15",
    "effective.start",
    "effective.ofType(Period).end > @2024-01-31",
    "effective.ofType(Period).end > effective.ofType(Period).start",
    "issued = @2024-01-15T08:00:00.25Z",
    "issued.toDate()",
    "subject.getReferenceKey(Patient)",
    "iif(subject.getReferenceKey(Patient).exists(), 'patient', 'other')",
    "code.coding.where(system = %loinc).code",
    "code.coding.code.join(',')",
    "referenceRange.low.value < 0.01",
    "referenceRange.high.value.first() = 5.0",
    "referenceRange.first().low.value.toString()",
    "referenceRange.where(low.exists()).high.value.highBoundary()",
    "status in ('final' | 'amended')",
]


@pytest.mark.parametrize("path", PATIENT_PATHS)
def test_a_path_over_patients(path: str) -> None:
    check("Patient", {"select": [{"column": [{"name": "v", "path": path}]}]})


@pytest.mark.parametrize("path", OBSERVATION_PATHS)
def test_a_path_over_observations(path: str) -> None:
    check("Observation", {"select": [{"column": [{"name": "v", "path": path}]}]})


def check(resource: str, view: Json) -> None:
    """Agreement over all resources, and over each, since one with several values spoils all."""
    view = {"resource": resource, **view}
    assert_agreement(view, RESOURCES[resource])
    for each in RESOURCES[resource]:
        assert_agreement(view, [each])


def column(name: str, path: str, **more: Any) -> Json:
    return {"name": name, "path": path, **more}


VIEWS: dict[str, tuple[str, Json]] = {
    "columns named like SQL and like the compiler's own variables": ("Patient", {"select": [
        {"column": [column(name, "id") for name in (
            "select", "from", "where", "lambda", "v", "n", "x1", "i1", "e1", "r0_1", "t1", "own",
            "each", "struct", "unnest", "null", "true", "Order")]},
        {"forEach": "name", "column": [column("row", "%rowIndex"), column("x2", "family")]},
        {"forEach": "telecom", "column": [column("item", "%rowIndex")]}]}),
    "three levels, each with its own index": ("Patient", {"select": [
        {"column": [column("id", "id")]},
        {"forEachOrNull": "contact", "column": [column("c", "%rowIndex")], "select": [
            {"forEachOrNull": "relationship", "column": [column("r", "%rowIndex")], "select": [
                {"forEachOrNull": "coding", "column": [column("k", "%rowIndex"),
                                                       column("code", "code")]}]}]}]}),
    "siblings multiply": ("Patient", {"select": [
        {"forEach": "name", "column": [column("a", "family")]},
        {"forEachOrNull": "telecom", "column": [column("b", "system")]},
        {"forEachOrNull": "address.line", "column": [column("c", "$this")]}]}),
    "an iteration of nothing removes the row": ("Patient", {"select": [
        {"column": [column("id", "id")]}, {"forEach": "photo", "column": [column("p", "url")]}]}),
    "a union in a select in a union": ("Patient", {"select": [{"unionAll": [
        {"forEach": "telecom", "column": [column("v", "value")]},
        {"select": [{"unionAll": [
            {"forEach": "contact", "select": [
                {"forEach": "telecom", "column": [column("v", "value")]}]},
            {"column": [column("v", "id")]}]}]},
        {"forEachOrNull": "contact.telecom", "column": [column("v", "value")]}]}]}),
    "two unions beside columns and selects": ("Patient", {"select": [
        {"column": [column("a", "id")], "select": [{"column": [column("b", "gender")]}],
         "unionAll": [{"column": [column("c", "'1'")]}, {"column": [column("c", "'2'")]}]},
        {"unionAll": [{"forEach": "name", "column": [column("d", "%rowIndex")]},
                      {"column": [column("d", "%rowIndex")]}]}]}),
    "a union inside an iteration inherits its index": ("Patient", {"select": [
        {"forEach": "contact", "unionAll": [
            {"column": [column("i", "%rowIndex")]},
            {"forEach": "telecom", "column": [column("i", "%rowIndex")]}]}]}),
    "lists, also empty ones and of nothing": ("Patient", {"select": [{"column": [
        column("a", "name.given", collection=True), column("b", "photo.url", collection=True),
        column("c", "gender", collection=True), column("d", "{}", collection=True),
        column("e", "name.family.where(false)", collection=True),
        column("f", "telecom.rank", collection=True)]}]}),
    "whole elements": ("Patient", {"select": [{"column": [
        column("a", "name", collection=True), column("b", "name.first()"),
        column("c", "extension", collection=True), column("d", "maritalStatus"),
        column("e", "contained", collection=True), column("f", "name.first().family")]}]}),
    "whole elements inside iterations": ("Patient", {"select": [
        {"forEach": "contact", "column": [column("a", "$this"), column("b", "name.family")],
         "select": [{"forEach": "telecom", "column": [column("c", "$this"),
                                                      column("d", "value")]}]}]}),
    "an iteration over values": ("Patient", {"select": [
        {"forEach": "name.given", "column": [column("g", "$this"), column("n", "$this.length()")]},
        {"forEachOrNull": "address.line.first()", "column": [column("l", "$this")]}]}),
    "an iteration over a choice": ("Observation", {"select": [
        {"forEach": "value.ofType(CodeableConcept).coding", "column": [column("c", "code")]},
        {"forEachOrNull": "effective.ofType(Period)", "column": [column("s", "start")]}]}),
    "an iteration over the resource": ("Patient", {"select": [
        {"forEach": "$this", "column": [column("id", "id"), column("n", "name.count()")]},
        {"forEachOrNull": "where(active)", "column": [column("g", "gender")]}]}),
    "an iteration over contained resources": ("Patient", {"select": [
        {"forEach": "contained.ofType(Organization)", "column": [
            column("id", "getResourceKey()"), column("name", "name")],
         "select": [{"forEach": "alias", "column": [column("alias", "$this")]}]}]}),
    "contained resources of which their own elements and those of one type are asked": ("Patient", {
        "select": [{"forEach": "contained", "column": [
            column("id", "id"), column("key", "getResourceKey()"),
            column("is", "$this is Organization"),
            column("type", "resourceType"), column("name", "ofType(Organization).name"),
            column("whole", "ofType(Organization)")]}]}),
    "contained resources of a named type": ("Patient", {"select": [
        {"forEachOrNull": "contained.where(resourceType = 'Organization')", "column": [
            column("name", "ofType(Organization).name"),
            column("family", "ofType(Practitioner).name.family.first()")]}]}),
    "an iteration over contained resources of one type": ("Patient", {"select": [
        {"forEach": "contained.where(resourceType = 'Organization')", "column": [
            column("id", "id"), column("type", "resourceType"), column("name", "name"),
            column("other", "ofType(Practitioner).name.family.first()")],
         "select": [{"forEachOrNull": "alias", "column": [column("alias", "$this")]}]}]}),
    "an iteration that looks back at the resource": ("Patient", {"select": [
        {"forEach": "telecom", "column": [column("a", "%resource.name.first().family"),
                                          column("b", "value & %resource.id")]}]}),
    "what $this is in a condition inside an iteration": ("Patient", {"select": [
        {"forEach": "contact", "column": [
            column("a", "telecom.where(value.exists()).value.first()"),
            column("b", "telecom.where(%context.name.exists()).count()")]}]}),
    "conditions on the view": ("Patient", {
        "where": [{"path": "name.exists()"}, {"path": "name.given.exists()"}, {"path": "active"}],
        "select": [{"column": [column("id", "id")]}]}),
    "constants of every kind": ("Observation", {
        "constant": [{"name": "code", "valueCode": "final"}, {"name": "n", "valueInteger": 1},
                     {"name": "d", "valueDecimal": 120.5}, {"name": "b", "valueBoolean": True},
                     {"name": "day", "valueDate": "2024-01-15"},
                     {"name": "system", "valueUri": "http://loinc.org"},
                     {"name": "at", "valueInstant": "2024-01-15T08:00:00.250Z"}],
        "where": [{"path": "status = %code and %b"}],
        "select": [{"forEach": "component.where(code.coding.system = %system)", "column": [
            column("a", "value.ofType(Quantity).value >= %d"), column("i", "%rowIndex + %n"),
            column("b", "%resource.effective.ofType(dateTime) = %day"),
            column("c", "%resource.issued = %at")]}]}),
    "a walk through items and answers": ("QuestionnaireResponse", {"select": [
        {"column": [column("id", "id")]},
        {"repeat": ["item", "answer.item"], "column": [
            column("n", "%rowIndex"), column("link", "linkId"), column("m", "item.count()")],
         "select": [{"forEachOrNull": "answer", "column": [
             column("i", "value.ofType(integer)"), column("c", "value.ofType(Coding).code")]}]}]}),
    "a walk inside an iteration": ("QuestionnaireResponse", {"select": [
        {"forEach": "item", "column": [column("top", "linkId")], "select": [
            {"repeat": ["item", "answer.item"], "column": [column("link", "linkId")]}]}]}),
    "a walk inside a union": ("QuestionnaireResponse", {"select": [{"unionAll": [
        {"repeat": ["item"], "column": [column("link", "linkId")]},
        {"forEach": "item.answer.item", "column": [column("link", "linkId")]}]}]}),
    "a walk through extensions": ("Patient", {"select": [
        {"repeat": ["extension"], "column": [
            column("url", "url"), column("text", "value.ofType(string)"),
            column("code", "value.ofType(Coding).code"), column("whole", "$this")]}]}),
    "a walk under a condition": ("QuestionnaireResponse", {"select": [
        {"repeat": ["item.where(linkId != '2')"], "column": [column("link", "linkId")]}]}),
    "selects without columns of their own": ("Patient", {"select": [
        {"select": [{"select": [{"forEach": "name", "select": [
            {"column": [column("a", "family")]}, {"column": [column("b", "use")]}]}]}]}, {}]}),
    "a column of each type that SQL has": ("Observation", {"select": [{"column": [
        column("a", "issued"), column("b", "component.first().value.ofType(Quantity).value"),
        column("c", "component.count()"), column("d", "code.exists()"),
        column("e", "effective.ofType(dateTime)"),
        column("f", "component.value.ofType(Quantity).value", collection=True),
        column("g", "issued", type="string"), column("h", "component.count()", type="string")]}]}),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_a_view(name: str) -> None:
    check(*VIEWS[name])


def test_the_resources_give_every_view_something_to_do() -> None:
    quiet = [
        name
        for name, (resource, view) in VIEWS.items()
        if not compiled_outcome({"resource": resource, **view}, RESOURCES[resource])
    ]
    assert quiet == ["an iteration of nothing removes the row"]


def test_column_names_keep_their_order() -> None:
    from ecw_pipeline.sql_on_fhir.compiler import compile_view

    resource, view = VIEWS["two unions beside columns and selects"]
    names = [c.name for c in compile_view({"resource": resource, **view}).columns]
    assert names == ["a", "b", "c", "d"], json.dumps(view)
