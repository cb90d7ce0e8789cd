"""The made-up practice: complete, consistent, repeatable, and never all in memory."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.sandbox.population.chart import references
from ecw_pipeline.sandbox.population.world import RESOURCE_TYPES, Population
from ecw_pipeline.sandbox.source import Entry, Selection
from ecw_pipeline_tests.sandbox.harness import quick

Resources = dict[str, list[dict[str, Any]]]

# What the brief names, as paths; a star is any element of a list.
BRIEF_FIELDS = {
    "DiagnosticReport": (
        "category", "status", "effectiveDateTime", "effectivePeriod", "issued", "conclusion",
        "conclusionCode", "presentedForm.*.data", "result.*.reference", "encounter",
    ),
    "CarePlan": (
        "status", "intent", "title", "description", "period.start", "period.end",
        "activity.*.detail.scheduledTiming", "activity.*.detail.scheduledPeriod",
        "activity.*.detail.scheduledString", "activity.*.progress", "goal.*.reference",
        "activity.*.outcomeCodeableConcept", "activity.*.outcomeReference", "text.div",
    ),
    "Encounter": (
        "type", "class.code", "period.start", "period.end", "reasonCode", "hospitalization",
        "diagnosis.*.condition", "participant.*.individual", "location.*.location", "identifier",
        "hospitalization.dischargeDisposition", "serviceProvider",
    ),
    "Communication": (
        "status", "statusReason", "category", "priority", "medium", "subject", "topic",
        "payload.*.contentString", "payload.*.contentAttachment", "payload.*.contentReference",
        "sent", "received", "inResponseTo", "sender", "recipient",
    ),
    "Task": (
        "status", "statusReason", "intent", "priority", "code", "description", "authoredOn",
        "lastModified", "executionPeriod.start", "executionPeriod.end", "note.*.text",
        "businessStatus", "focus", "for", "owner", "input", "output",
    ),
    "Patient": (
        "identifier", "name.*.family", "name.*.given", "name.*.suffix", "telecom.*.value",
        "gender", "birthDate", "address.*.postalCode", "communication.*.language",
        "extension.*.extension", "extension.*.valueCode", "deceasedBoolean", "deceasedDateTime",
        "maritalStatus", "contact", "generalPractitioner", "managingOrganization",
    ),
    "Observation": (
        "category", "code", "effectiveDateTime", "issued", "valueQuantity.value", "valueString",
        "valueCodeableConcept", "valueInteger", "valueBoolean", "valueRange", "valueRatio",
        "valuePeriod", "valueTime", "valueDateTime", "dataAbsentReason", "component.*.code",
        "interpretation", "referenceRange.*.high", "performer", "encounter", "bodySite", "method",
    ),
    "Condition": (
        "clinicalStatus", "verificationStatus", "category", "severity", "code", "bodySite",
        "encounter", "onsetDateTime", "onsetString", "abatementDateTime", "recordedDate",
        "recorder", "asserter", "note",
    ),
    "MedicationRequest": (
        "status", "statusReason", "intent", "category", "priority", "reportedBoolean",
        "medicationCodeableConcept", "encounter", "authoredOn", "requester", "reasonReference",
        "dosageInstruction.*.timing", "dosageInstruction.*.doseAndRate", "note",
        "dispenseRequest.numberOfRepeatsAllowed", "dispenseRequest.quantity",
    ),
    "AllergyIntolerance": (
        "clinicalStatus", "verificationStatus", "type", "category", "criticality", "code",
        "patient", "onsetDateTime", "recordedDate", "lastOccurrence", "encounter", "note",
        "reaction.*.manifestation", "reaction.*.severity",
    ),
    "Immunization": (
        "status", "statusReason", "vaccineCode", "occurrenceDateTime", "primarySource", "location",
        "lotNumber", "expirationDate", "site", "route", "doseQuantity.value", "performer",
        "manufacturer", "encounter", "reportOrigin", "protocolApplied", "note",
    ),
    "Procedure": (
        "status", "statusReason", "category", "code", "performedDateTime", "performedPeriod",
        "encounter", "performer", "location", "reasonReference", "bodySite", "outcome",
        "complication", "followUp", "report", "note",
    ),
}  # fmt: skip


def everything(population: Population) -> Iterator[Entry]:
    """All there is now."""
    return population.entries(Selection(population.day, frozenset(RESOURCE_TYPES)))


@pytest.fixture(scope="module")
def resources() -> Resources:
    """A hundred patients, as the demo has them."""
    found: Resources = {name: [] for name in RESOURCE_TYPES}
    for entry in everything(Population(quick(patients=100))):
        found[entry.resource_type].append(json.loads(entry.line or b""))
    return found


def has(value: Any, path: list[str]) -> bool:
    """Whether there is something at the end of the path."""
    if not path:
        return value not in (None, "", [], {})
    if path[0] == "*":
        return any(has(item, path[1:]) for item in value)
    return isinstance(value, dict) and path[0] in value and has(value[path[0]], path[1:])


def test_the_table_of_fields_is_about_all_of_the_brief_s_types() -> None:
    assert set(BRIEF_FIELDS) == set(BRIEF_TYPES)


@pytest.mark.parametrize("resource_type", BRIEF_FIELDS)
def test_every_field_of_the_brief_is_filled_somewhere(
    resources: Resources, resource_type: str
) -> None:
    paths = BRIEF_FIELDS[resource_type]
    missing = [
        path
        for path in paths
        if not any(has(resource, path.split(".")) for resource in resources[resource_type])
    ]

    assert missing == []


@pytest.mark.parametrize("days", [0, 15])
def test_every_reference_resolves(days: int) -> None:
    population = Population(quick(patients=30))
    if days:
        population.advance(days)
    lines = [json.loads(entry.line or b"") for entry in everything(population) if entry.line]
    known = {f"{r['resourceType']}/{r['id']}" for r in lines}

    assert len(known) == len(lines)
    assert [ref for r in lines for ref in references(r) if ref not in known] == []


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    one, same, other = (list(everything(Population(quick(seed=s)))) for s in (1, 1, 2))

    assert one == same
    assert one != other


def test_a_patient_is_the_same_among_few_and_among_many() -> None:
    few, many = Population(quick(patients=5)), Population(quick(patients=5_000))

    assert few.find("Patient", "pat-000004") == many.find("Patient", "pat-000004")


def test_the_practice_looks_like_one(resources: Resources) -> None:
    per_patient = sum(map(len, resources.values())) / 100
    classes = Counter(r["class"]["code"] for r in resources["Encounter"])
    codes = Counter(r["code"]["coding"][0]["code"] for r in resources["Observation"])
    diabetics = [r for r in resources["Condition"] if r["code"]["coding"][1]["code"] == "E11.9"]

    assert 50 <= per_patient <= 120
    assert 0.12 < classes["VR"] / classes.total() < 0.28
    assert {r["status"] for r in resources["Encounter"]} >= {"finished", "cancelled"}
    assert codes["4548-4"] > len(diabetics) > 5
    assert {c["code"]["coding"][0]["code"] for r in resources["Observation"]
            for c in r.get("component", ())} >= {"8480-6", "8462-4"}  # fmt: skip


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES)
def test_every_resource_keeps_fhir_s_rules(resources: Resources, resource_type: str) -> None:
    model = get_fhir_model_class(resource_type)

    for resource in resources[resource_type]:
        model.model_validate(resource)


def test_decimals_keep_their_trailing_zeros() -> None:
    lines = (e.line or b"" for e in everything(Population(quick(patients=30))))
    a1c = [line for line in lines if b'"code":"4548-4"' in line and b'"value":' in line]

    assert any(b'0,"unit"' in line.partition(b'"value":')[2][:12] for line in a1c)


def test_names_are_not_all_ascii(resources: Resources) -> None:
    names = "".join(n["text"] for r in resources["Patient"] for n in r["name"])

    assert any("À" <= letter <= "ž" for letter in names)
    assert any(letter > "\u3000" for letter in names)


def test_replies_come_after_the_message_and_some_still_wait(resources: Resources) -> None:
    messages = {f"Communication/{r['id']}": r for r in resources["Communication"]}
    replies = [r for r in messages.values() if "inResponseTo" in r]

    assert replies
    for answer in replies:
        assert answer["sent"] > messages[answer["inResponseTo"][0]["reference"]]["sent"]
    assert any(r["status"] == "in-progress" for r in messages.values())


def test_memory_does_not_grow_with_the_population() -> None:
    def peak_bytes(patients: int) -> int:
        entries = everything(Population(quick(patients=patients)))
        tracemalloc.start()
        for _ in islice(entries, 6_000):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(20)
    assert peak_bytes(2_000) < peak_bytes(50) + 2_000_000
