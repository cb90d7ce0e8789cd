"""A part of FHIR, and random resources of it, for comparing the compiler with the plain reading."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

Draw = Any
Json = dict[str, Any]

# Type → element → its type, with * where it repeats; several types where it is a choice.
ELEMENTS: dict[str, dict[str, str]] = {
    "Patient": {
        "id": "id", "active": "boolean", "gender": "code", "birthDate": "date",
        "name": "HumanName*", "telecom": "ContactPoint*", "contact": "PatientContact*",
        "maritalStatus": "CodeableConcept", "deceased": "boolean dateTime",
        "multipleBirth": "boolean integer", "generalPractitioner": "Reference*",
        "extension": "Extension*", "contained": "Resource*",
    },
    "Observation": {
        "id": "id", "status": "code", "code": "CodeableConcept", "issued": "instant",
        "effective": "dateTime Period instant", "subject": "Reference",
        "value": "Quantity string integer boolean dateTime time CodeableConcept Range",
        "component": "ObservationComponent*", "extension": "Extension*",
    },
    "QuestionnaireResponse": {
        "id": "id", "status": "code", "authored": "dateTime",
        "item": "QuestionnaireResponseItem*",
    },
    "QuestionnaireResponseItem": {
        "linkId": "string", "text": "string", "answer": "QuestionnaireResponseItemAnswer*",
        "item": "QuestionnaireResponseItem*",
    },
    "QuestionnaireResponseItemAnswer": {
        "value": "boolean decimal integer date string Coding Quantity",
        "item": "QuestionnaireResponseItem*",
    },
    "ObservationComponent": {
        "code": "CodeableConcept", "value": "Quantity string integer boolean dateTime",
    },
    "PatientContact": {
        "name": "HumanName", "telecom": "ContactPoint*", "relationship": "CodeableConcept*",
    },
    "HumanName": {"use": "code", "family": "string", "given": "string*", "period": "Period"},
    "ContactPoint": {"system": "code", "value": "string", "rank": "positiveInt"},
    "CodeableConcept": {"text": "string", "coding": "Coding*"},
    "Coding": {"code": "code", "system": "uri", "userSelected": "boolean"},
    "Quantity": {"value": "decimal", "unit": "string"},
    "Range": {"low": "Quantity", "high": "Quantity"},
    "Period": {"start": "dateTime", "end": "dateTime"},
    "Reference": {"reference": "string", "display": "string"},
    "Extension": {
        "url": "uri", "value": "string code integer decimal boolean", "extension": "Extension*",
    },
    "Organization": {"id": "id", "name": "string", "alias": "string*"},
}  # fmt: skip
URLS = ("u:1", "u:2")
WORDS = ("a", "b", "O'Neil", " A  b", "1", "2.5", "true", "é\\", "2020-03", "10:00:00")
DATES = ("2019", "2020-02", "2020-02-29", "2020-03", "2020-03-01")
INSTANTS = ("2020-03-01T00:30:00+01:00", "2020-02-29T23:30:00Z", "2020-02-29T23:30:00.25Z")
REFERENCES = (
    "Patient/a", "http://h/fhir/Organization/b/_history/2", "#c", "urn:uuid:1", "Patient/a b",
)  # fmt: skip
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-3, 4),
    "positiveInt": st.integers(1, 4),
    "decimal": st.sampled_from(("0.1", "1", "1.0", "1.10", "-2.50", "3.125", "1E-7")).map(Decimal),
    "string": st.sampled_from(WORDS),
    "code": st.sampled_from(("a", "b", "official")),
    "id": st.sampled_from(("a", "b")),
    "uri": st.sampled_from(URLS),
    "date": st.sampled_from(DATES),
    "dateTime": st.sampled_from(DATES + INSTANTS),
    "instant": st.sampled_from(INSTANTS),
    "time": st.sampled_from(("10:00:00", "10:00:00.5", "23:59:59")),
}


@st.composite
def resources(draw: Draw, kind: str) -> list[Json]:
    found = [value_of(draw, kind, 5) for _ in range(draw(st.integers(0, 3)))]
    return [{"resourceType": kind, **each, "id": str(n)} for n, each in enumerate(found)]


def value_of(draw: Draw, kind: str, depth: int) -> Any:
    if kind in VALUES:
        return draw(VALUES[kind])
    found: Json = {}
    if kind == "Resource":
        kind, found = "Organization", {"resourceType": "Organization"}
    for name, kinds in ELEMENTS[kind].items():
        inner = draw(st.sampled_from(kinds.split()))
        if draw(st.booleans()) and (depth > 0 or not inner.endswith("*")):
            key = name + inner[0].upper() + inner[1:] if " " in kinds else name
            found |= element(draw, key, inner, depth - 1)
    return found or {"extension": [{"url": "u:1"}]}  # FHIR knows no empty objects


def element(draw: Draw, key: str, kind: str, depth: int) -> Json:
    if key == "reference":
        return {key: draw(st.sampled_from(REFERENCES))}
    inner = kind.rstrip("*")
    if kind == inner and (inner not in VALUES or key == "id" or draw(st.integers(0, 4))):
        return {key: value_of(draw, inner, depth)}
    if kind == inner:
        value = {key: value_of(draw, kind, depth)} if draw(st.booleans()) else {}
        return {f"_{key}": beside(draw), **value}
    many = [value_of(draw, inner, depth) for _ in range(draw(st.integers(1, 3)))]
    if inner in VALUES and not draw(st.integers(0, 4)):
        return {key: [None, *many], f"_{key}": [beside(draw), *([None] * len(many))]}
    return {key: many}


def beside(draw: Draw) -> Json:
    return {"extension": [{"url": draw(st.sampled_from(URLS)), "valueString": "beside"}]}
