"""One patient's chart while it is being written: records with versions, and who is who.

The parts of a chart (visits, labs, …) live in modules of their own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from typing import Any

from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.sandbox.population.codes import US_CORE, JsonObject
from ecw_pipeline.sandbox.population.practice import Practice

_PREFIXES = {
    "AllergyIntolerance": "alg",
    "CarePlan": "cpl",
    "CareTeam": "ctm",
    "ChargeItem": "chg",
    "Claim": "clm",
    "Communication": "com",
    "Condition": "con",
    "Coverage": "cov",
    "Device": "dev",
    "DiagnosticReport": "rep",
    "DocumentReference": "doc",
    "Encounter": "enc",
    "FamilyMemberHistory": "fam",
    "Goal": "goa",
    "Immunization": "imm",
    "Media": "pic",
    "MedicationAdministration": "mad",
    "MedicationDispense": "mdi",
    "MedicationRequest": "med",
    "Observation": "obs",
    "Patient": "pat",
    "Procedure": "pro",
    "Provenance": "prv",
    "QuestionnaireResponse": "qre",
    "RelatedPerson": "rel",
    "ServiceRequest": "srq",
    "Specimen": "spm",
    "Task": "tas",
}
_PROFILES = {
    "AllergyIntolerance": "us-core-allergyintolerance",
    "CarePlan": "us-core-careplan",
    "CareTeam": "us-core-careteam",
    "Coverage": "us-core-coverage",
    "DiagnosticReport": "us-core-diagnosticreport-lab",
    "DocumentReference": "us-core-documentreference",
    "Encounter": "us-core-encounter",
    "Goal": "us-core-goal",
    "Immunization": "us-core-immunization",
    "MedicationDispense": "us-core-medicationdispense",
    "MedicationRequest": "us-core-medicationrequest",
    "Patient": "us-core-patient",
    "Procedure": "us-core-procedure",
    "Provenance": "us-core-provenance",
    "QuestionnaireResponse": "us-core-questionnaireresponse",
    "RelatedPerson": "us-core-relatedperson",
    "ServiceRequest": "us-core-servicerequest",
    "Specimen": "us-core-specimen",
}


@dataclass(slots=True)
class Record:
    """A resource with its life: when it was made, last changed, and perhaps deleted."""

    resource: JsonObject
    created_at: datetime
    updated_at: datetime
    version: int = 1
    deleted: bool = False

    @property
    def resource_type(self) -> str:
        return str(self.resource["resourceType"])

    @property
    def resource_id(self) -> str:
        return str(self.resource["id"])

    @property
    def reference(self) -> str:
        return f"{self.resource_type}/{self.resource_id}"

    def changed(self, at: datetime) -> None:
        """Count a new version, made at ``at``."""
        self.version += 1
        self.updated_at = at
        meta = self.resource["meta"]
        meta["versionId"], meta["lastUpdated"] = str(self.version), format_instant(at)


@dataclass(frozen=True)
class Person:
    """What the rest of a chart depends on."""

    number: int
    display: str
    gender: str
    born_on: date
    practitioner: JsonObject
    is_diabetic: bool
    is_hypertensive: bool
    died_at: datetime | None

    def age_on(self, day: date) -> int:
        """Age in whole years."""
        had_birthday = (day.month, day.day) >= (self.born_on.month, self.born_on.day)
        return day.year - self.born_on.year - (not had_birthday)


@dataclass
class Chart:
    """A patient's records in the order they were written.

    Args:
        binaries: documents that records name; they are read one by one, and never exported.
        series: sets apart the ids of different days, so that they never repeat.
        imported_at: when the whole chart reached the server, for a patient who joined later.
    """

    number: int
    random: Random
    now: datetime
    practice: Practice
    records: list[Record] = field(default_factory=list)
    binaries: list[JsonObject] = field(default_factory=list)
    series: str = ""
    imported_at: datetime | None = None
    _person: Person | None = None
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def subject(self) -> JsonObject:
        """The reference every resource of this chart carries."""
        return {"reference": f"Patient/pat-{self.number:06d}"}

    @property
    def person(self) -> Person:
        """Whose chart this is."""
        if self._person is None:
            raise RuntimeError("the chart has no person yet")
        return self._person

    @person.setter
    def person(self, person: Person) -> None:
        self._person = person

    def start_day(self, day: int, random: Random, now: datetime) -> None:
        """Continue the chart on a later day."""
        self.random, self.now, self.imported_at = random, now, now
        self.series = f"d{day:04d}-"
        self._counts = {}

    def add(self, resource_type: str, at: datetime, body: JsonObject) -> Record:
        """Write one more resource, last updated at ``at`` (never later than the chart's now)."""
        written_at = self.imported_at or min(at, self.now)
        meta: JsonObject = {"versionId": "1", "lastUpdated": format_instant(written_at)}
        if profile := _PROFILES.get(resource_type):
            meta["profile"] = [US_CORE + profile]
        start = {"resourceType": resource_type, "id": self._next_id(resource_type), "meta": meta}
        record = Record({**start, **body}, written_at, written_at)
        self.records.append(record)
        return record

    def living(self, resource_type: str) -> Iterable[Record]:
        """The records of one type that are not deleted."""
        return (r for r in self.records if not r.deleted and r.resource_type == resource_type)

    def _next_id(self, resource_type: str) -> str:
        prefix = _PREFIXES[resource_type]
        if resource_type == "Patient":
            return f"{prefix}-{self.number:06d}"
        count = self._counts[resource_type] = self._counts.get(resource_type, 0) + 1
        return f"{prefix}-{self.number:06d}-{self.series}{count:03d}"


def instant(at: datetime) -> str:
    """An instant to the second, as a FHIR dateTime in UTC."""
    return format_instant(at.replace(microsecond=0))


def refer(record: Record) -> JsonObject:
    """A Reference to a record."""
    return {"reference": record.reference}


def references(value: Any) -> Iterator[str]:
    """Every literal reference inside a resource."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("reference"), str):
            yield reference
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
