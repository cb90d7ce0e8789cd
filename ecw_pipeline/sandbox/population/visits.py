"""Encounters: office, virtual, emergency and hospital; kept, cancelled, and not attended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from ecw_pipeline.sandbox.population.chart import Chart, Person, Record, instant
from ecw_pipeline.sandbox.population.codes import (
    SNOMED,
    TERMINOLOGY,
    JsonObject,
    coding,
    concept,
    identifier,
    quantity,
    term,
)
from ecw_pipeline.sandbox.population.draw import weighted

# weight, code, display, shortest and longest minutes
CLASSES = (
    (70, "AMB", "ambulatory", 15, 45),
    (22, "VR", "virtual", 10, 30),
    (5, "EMER", "emergency", 90, 480),
    (3, "IMP", "inpatient encounter", 1440, 8640),
)
_KINDS = {
    "AMB": (
        ("185349003", "Encounter for check up"),
        ("390906007", "Follow-up encounter"),
        ("185345009", "Encounter for symptom"),
        ("410620009", "Well child visit"),
    ),
    "VR": (
        ("448337001", "Telemedicine consultation with patient"),
        ("185317003", "Telephone encounter"),
    ),
    "EMER": (("50849002", "Emergency room admission"),),
    "IMP": (("32485007", "Hospital admission"),),
}
_SERVICES = (("124", "General Practice"), ("57", "Immunization"), ("267", "Hypertension"))
_REASONS = (
    (25, "185349003", "Encounter for check up"),
    (15, "25064002", "Headache"),
    (15, "49727002", "Cough"),
    (10, "21522001", "Abdominal pain"),
    (10, "161891005", "Backache"),
    (15, "308335008", "Patient encounter procedure"),
    (10, "386661006", "Fever"),
)
_NOT_ATTENDED = concept(SNOMED, "281399006", "Did not attend")
# weight, Encounter.status, what happened; a no-show has no status of its own in R4
_ENDINGS = (
    (86, "finished", None),
    (6, "cancelled", _NOT_ATTENDED),
    (6, "cancelled", concept(SNOMED, "185335007", "Cancelled by patient")),
    (1, "entered-in-error", None),
)
_PRIORITIES = {"EMER": ("EM", "emergency"), "IMP": ("UR", "urgent")}
_ADMIT_SOURCES = (("emd", "From accident/emergency department"), ("gp", "General Practitioner"))
_DISCHARGES = (("home", "Home"), ("snf", "Skilled nursing facility"), ("hosp", "Hospice"))


@dataclass
class Visit:
    """An encounter being written about."""

    record: Record
    start: datetime
    end: datetime
    encounter_class: str
    person: Person

    @property
    def reference(self) -> JsonObject:
        return {"reference": self.record.reference}

    @property
    def took_place(self) -> bool:
        return self.record.resource["status"] in ("finished", "in-progress")

    @property
    def is_virtual(self) -> bool:
        return self.encounter_class == "VR"


def add_visit(chart: Chart, person: Person, start: datetime, *, status: str | None = None) -> Visit:
    """Write an Encounter that starts then; its status is drawn unless it is given."""
    random = chart.random
    _, code, display, shortest, longest = weighted(random, CLASSES)
    minutes = random.randint(shortest, longest)
    _, drawn_status, why = weighted(random, _ENDINGS)
    final_status = status or drawn_status
    end = min(start + timedelta(minutes=minutes), max(chart.now, start))
    body: JsonObject = {
        "identifier": [identifier("visit", f"V{chart.number:06d}-{len(chart.records):04d}")],
        "status": final_status,
        "class": coding(TERMINOLOGY + "v3-ActCode", code, display),
        "type": [concept(SNOMED, *random.choice(_KINDS[code]))],
        "serviceType": term("service-type", *random.choice(_SERVICES)),
        "priority": term("v3-ActPriority", *_PRIORITIES.get(code, ("R", "routine"))),
        "subject": {**chart.subject, "display": person.display},
        "participant": [_participant(person, start, end)],
        "period": _period(final_status, start, end),
        "reasonCode": [_reason(random, why if status is None else None)],
        "location": [_location(chart, code, start, end)],
        "serviceProvider": _provider(chart, code),
    }
    if final_status == "finished":
        body["length"] = quantity(Decimal(minutes), "min", "min")
    if code == "IMP" and final_status == "finished":
        body["hospitalization"] = _hospitalization(random, chart)
    record = chart.add("Encounter", end + timedelta(hours=random.randint(1, 30)), body)
    return Visit(record, start, end, code, person)


def finish_visit(record: Record, end: datetime) -> None:
    """An encounter in progress comes to its end."""
    record.resource["status"] = "finished"
    record.resource["period"]["end"] = instant(end)


def diagnose(visit: Visit, condition: Record, rank: int) -> None:
    """Name a condition as a diagnosis of the visit."""
    use = term("diagnosis-role", "AD" if rank == 1 else "CM", "Diagnosis")
    diagnosis = {"condition": {"reference": condition.reference}, "use": use, "rank": rank}
    visit.record.resource.setdefault("diagnosis", []).append(diagnosis)


def _period(status: str, start: datetime, end: datetime) -> JsonObject:
    period = {"start": instant(start)}
    return period if status == "in-progress" else {**period, "end": instant(end)}


def _participant(person: Person, start: datetime, end: datetime) -> JsonObject:
    return {
        "type": [term("v3-ParticipationType", "PPRF", "primary performer")],
        "period": {"start": instant(start), "end": instant(end)},
        "individual": person.practitioner,
    }


def _reason(random: Random, why: JsonObject | None) -> JsonObject:
    return why or concept(SNOMED, *weighted(random, _REASONS)[1:])


def _location(chart: Chart, code: str, start: datetime, end: datetime) -> JsonObject:
    places: dict[str, Callable[[], JsonObject]] = {
        "VR": lambda: chart.practice.virtual_room,
        "IMP": lambda: chart.practice.ward,
        "EMER": lambda: chart.practice.ward,
        "AMB": lambda: chart.random.choice(chart.practice.offices),
    }
    period = {"start": instant(start), "end": instant(end)}
    return {"location": places[code](), "status": "completed", "period": period}


def _provider(chart: Chart, code: str) -> JsonObject:
    in_hospital = code in ("EMER", "IMP")
    return chart.practice.hospital if in_hospital else chart.practice.organization


def _hospitalization(random: Random, chart: Chart) -> JsonObject:
    return {
        "admitSource": term("admit-source", *random.choice(_ADMIT_SOURCES)),
        "dischargeDisposition": term("discharge-disposition", *random.choice(_DISCHARGES)),
        "reAdmission": term("v2-0092", "R", "Re-admission"),
        "dietPreference": [term("diet", "vegetarian", "Vegetarian")],
        "origin": chart.practice.offices[0],
        "destination": chart.practice.offices[1],
    }
