"""Allergies and immunizations."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant
from ecw_pipeline.sandbox.population.codes import (
    CVX,
    RXNORM,
    SNOMED,
    JsonObject,
    coding,
    concept,
    quantity,
    term,
)
from ecw_pipeline.sandbox.population.draw import chance, working_hour
from ecw_pipeline.sandbox.population.visits import Visit

# system, code, display, category, type
_SUBSTANCES = (
    (RXNORM, "7980", "penicillin G", "medication", "allergy"),
    (RXNORM, "1191", "aspirin", "medication", "intolerance"),
    (SNOMED, "762952008", "Peanut", "food", "allergy"),
    (SNOMED, "256277009", "Grass pollen", "environment", "allergy"),
    (SNOMED, "111088007", "Latex", "environment", "allergy"),
)
_NO_KNOWN_ALLERGY = concept(SNOMED, "716186003", "No known allergy")
_REACTIONS = (("247472004", "Weal"), ("271807003", "Eruption of skin"), ("39579001", "Anaphylaxis"))
_ROUTES = (("78421000", "Intramuscular route"), ("34206005", "Subcutaneous route"))
_FLU = ("158", "influenza, injectable, quadrivalent")
# CVX, display, years of age at which it is due
_SCHEDULE = (
    ("20", "DTaP", 1),
    ("03", "MMR", 1),
    ("115", "Tdap", 11),
    ("165", "HPV9", 12),
    ("187", "zoster recombinant", 50),
    ("33", "pneumococcal polysaccharide PPV23", 65),
)
_SCHEDULE_SINCE = 2000  # what was given before was not brought over
_FLU_SEASONS = 4
_NOT_DONE = (("PATOBJ", "patient objection"), ("MEDPREC", "medical precaution"))


def add_allergies(chart: Chart, visits: list[Visit]) -> None:
    """None recorded, none known, or a few."""
    random = chart.random
    seen_at = visits[0].start if visits else chart.now - timedelta(days=300)
    if chance(random, 25):
        chart.add("AllergyIntolerance", seen_at, _allergy(chart, seen_at, _NO_KNOWN_ALLERGY))
        return
    for substance in random.sample(_SUBSTANCES, random.choice((0, 0, 1, 1, 2))):
        system, code, display, category, kind = substance
        body = _allergy(chart, seen_at, concept(system, code, display))
        started = max(
            chart.person.born_on, seen_at.date() - timedelta(days=random.randint(9, 3000))
        )
        body |= {
            "type": kind,
            "category": [category],
            "criticality": random.choice(("low", "high", "unable-to-assess")),
            "onsetDateTime": started.isoformat(),
            "lastOccurrence": instant(seen_at - timedelta(days=random.randint(0, 8))),
            "note": [{"text": "Reported by the patient."}],
            "reaction": [_reaction(chart, started, substance)],
        }
        if visits:
            body["encounter"] = visits[0].reference
        chart.add("AllergyIntolerance", seen_at, body)


def add_immunizations(chart: Chart, visits: list[Visit]) -> None:
    """Flu shots by season, and what age asks for."""
    person, random = chart.person, chart.random
    for season in range(_FLU_SEASONS):
        first = datetime(chart.now.year - 1 - season, 9, 1, tzinfo=UTC)
        at = working_hour(random, first + timedelta(days=random.randint(0, 120)))
        if chance(random, 68 if person.age_on(at.date()) >= 65 else 42):
            _immunize(chart, at, *_FLU, visits)
    for code, display, age in _SCHEDULE:
        due = datetime(person.born_on.year + age, 6, 15, tzinfo=UTC)
        if due.year >= _SCHEDULE_SINCE and chance(random, 70):
            at = working_hour(random, due + timedelta(days=random.randint(0, 300)))
            _immunize(chart, at, code, display, visits)


def give_flu_shot(chart: Chart, visit: Visit) -> None:
    """One more, at a visit."""
    _immunize(chart, visit.start, *_FLU, [visit])


def _allergy(chart: Chart, at: datetime, code: JsonObject) -> JsonObject:
    return {
        "clinicalStatus": term("allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": term("allergyintolerance-verification", "confirmed", "Confirmed"),
        "code": code,
        "patient": chart.subject,
        "recordedDate": instant(at),
        "recorder": chart.person.practitioner,
        "asserter": chart.subject,
    }


def _reaction(chart: Chart, started: date, substance: tuple[str, str, str, str, str]) -> JsonObject:
    system, code, display, _, _ = substance
    reaction = chart.random.choice(_REACTIONS)
    return {
        "substance": concept(system, code, display),
        "manifestation": [concept(SNOMED, *reaction)],
        "description": f"{reaction[1]} after exposure",
        "onset": started.isoformat(),
        "severity": chart.random.choice(("mild", "moderate", "severe")),
        "exposureRoute": concept(SNOMED, "26643006", "Oral route"),
    }


def _immunize(
    chart: Chart, at: datetime, code: str, display: str, visits: list[Visit]
) -> Record | None:
    person, random = chart.person, chart.random
    last = person.died_at or chart.now
    if not person.born_on < at.date() or at >= last:
        return None
    is_done = chance(random, 94)
    body: JsonObject = {
        "status": "completed" if is_done else "not-done",
        "vaccineCode": {"coding": [coding(CVX, code, display)], "text": display},
        "patient": chart.subject,
        "occurrenceDateTime": instant(at),
        "recorded": instant(at),
        "primarySource": chance(random, 85),
        "location": chart.practice.offices[0],
        "reasonCode": [concept(SNOMED, "429060002", "Procedure to meet occupational requirement")],
        "performer": [_performer(person.practitioner)],
    }
    if not is_done:
        body["statusReason"] = term("v3-ActReason", *random.choice(_NOT_DONE))
    else:
        body |= _dose(chart, at)
    if not body["primarySource"]:
        body["reportOrigin"] = term("immunization-origin", "recall", "Parent/Guardian Recall")
    near = [v for v in visits if abs(v.start - at) < timedelta(days=45)]
    if near:
        body["encounter"] = near[0].reference
    return chart.add("Immunization", at + timedelta(hours=2), body)


def _performer(practitioner: JsonObject) -> JsonObject:
    return {"function": term("v2-0443", "AP", "Administering Provider"), "actor": practitioner}


def _dose(chart: Chart, at: datetime) -> JsonObject:
    random = chart.random
    return {
        "manufacturer": chart.practice.manufacturer,
        "lotNumber": f"LOT-{random.randrange(10_000):04d}",
        "expirationDate": (at + timedelta(days=300)).date().isoformat(),
        "site": term("v3-ActSite", *random.choice((("LA", "left arm"), ("RA", "right arm")))),
        "route": concept(SNOMED, *random.choice(_ROUTES)),
        "doseQuantity": quantity(Decimal("0.50"), "mL", "mL"),
        "protocolApplied": [
            {
                "series": "Routine",
                "targetDisease": [concept(SNOMED, "6142004", "Influenza")],
                "doseNumberPositiveInt": 1,
            }
        ],
        "note": [{"text": "Tolerated well.", "time": instant(at)}],
    }
