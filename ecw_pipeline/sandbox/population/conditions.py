"""Problems that last and complaints that pass, in SNOMED CT and ICD-10-CM side by side."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant
from ecw_pipeline.sandbox.population.codes import (
    ICD10,
    SNOMED,
    TERMINOLOGY,
    JsonObject,
    coding,
    concept,
    term,
)
from ecw_pipeline.sandbox.population.draw import chance
from ecw_pipeline.sandbox.population.visits import Visit, diagnose


@dataclass(frozen=True)
class Disease:
    """A row of the tables below."""

    snomed: str
    icd10: str
    display: str
    body_site: tuple[str, str] | None = None


DIABETES = Disease("44054006", "E11.9", "Type 2 diabetes mellitus")
HYPERTENSION = Disease("38341003", "I10", "Essential hypertension", ("51840008", "Artery"))
HYPERLIPIDEMIA = Disease("55822004", "E78.5", "Hyperlipidemia")
ASTHMA = Disease("195967001", "J45.909", "Asthma", ("39607008", "Lung"))
DEPRESSION = Disease("35489007", "F32.A", "Depressive disorder")
_ACUTE = (
    Disease("54150009", "J06.9", "Upper respiratory infection", ("58675001", "Upper airway")),
    Disease("10509002", "J20.9", "Acute bronchitis", ("955009", "Bronchus")),
    Disease("68566005", "N39.0", "Urinary tract infectious disease", ("122489005", "Urinary")),
    Disease("44465007", "S93.409A", "Sprain of ankle", ("344001", "Ankle")),
    Disease("36971009", "J32.9", "Sinusitis", ("2095001", "Nasal sinus")),
    Disease("65363002", "H66.90", "Otitis media", ("25342003", "Middle ear")),
)
_OPEN_COMPLAINT = ("encounter-diagnosis", "active")
_SEVERITIES = (("255604002", "Mild"), ("6736007", "Moderate"), ("24484000", "Severe"))


def add_problems(chart: Chart, visits: list[Visit]) -> dict[str, Record]:
    """The problem list, by SNOMED code; recorded at the first visit where there was one."""
    person, random = chart.person, chart.random
    has = {
        DIABETES: person.is_diabetic,
        HYPERTENSION: person.is_hypertensive,
        HYPERLIPIDEMIA: chance(random, 60 if person.is_diabetic else 15),
        ASTHMA: chance(random, 8),
        DEPRESSION: chance(random, 10),
    }
    seen_at = visits[0].start if visits else chart.now - timedelta(days=400)
    problems: dict[str, Record] = {}
    for disease, is_present in has.items():
        if is_present:
            body = _body(chart, disease, "problem-list-item", seen_at)
            if visits:
                body["encounter"] = visits[0].reference
            body.update(_onset(chart, seen_at))
            problems[disease.snomed] = chart.add("Condition", seen_at, body)
    return problems


def add_complaint(chart: Chart, visit: Visit, disease: Disease | None = None) -> Record:
    """Something a visit is about, over in a few weeks."""
    random = chart.random
    body = _body(chart, disease or random.choice(_ACUTE), "encounter-diagnosis", visit.start)
    body["encounter"] = visit.reference
    body["onsetDateTime"] = (visit.start - timedelta(days=random.randint(1, 9))).date().isoformat()
    condition = chart.add("Condition", visit.end, body)
    over_at = visit.end + timedelta(days=random.randint(5, 30))
    if over_at < chart.now and chance(random, 80):
        resolve(condition, over_at)
        condition.changed(max(over_at, condition.updated_at))
    diagnose(visit, condition, 1)
    return condition


def resolve(condition: Record, at: datetime) -> None:
    """The condition is over."""
    condition.resource["clinicalStatus"] = _clinical("resolved")
    condition.resource["abatementDateTime"] = instant(at)


def is_open_complaint(condition: Record) -> bool:
    """Whether it is a complaint that can still pass."""
    resource = condition.resource
    kind = resource["category"][0]["coding"][0]["code"]
    return (kind, resource["clinicalStatus"]["coding"][0]["code"]) == _OPEN_COMPLAINT


def _body(chart: Chart, disease: Disease, category: str, at: datetime) -> JsonObject:
    random = chart.random
    display = category.replace("-", " ").title()
    codings = [
        coding(SNOMED, disease.snomed, disease.display),
        coding(ICD10, disease.icd10, disease.display),
    ]
    body: JsonObject = {
        "clinicalStatus": _clinical("active"),
        "verificationStatus": term("condition-ver-status", "confirmed", "Confirmed"),
        "category": [term("condition-category", category, display)],
        "code": {"coding": codings, "text": disease.display},
        "subject": chart.subject,
        "recordedDate": instant(at),
        "recorder": chart.person.practitioner,
        "asserter": chart.person.practitioner if chance(random, 60) else chart.subject,
    }
    if chance(random, 50):
        body["severity"] = concept(SNOMED, *random.choice(_SEVERITIES))
    if disease.body_site:
        body["bodySite"] = [concept(SNOMED, *disease.body_site)]
    if chance(random, 20):
        note = {"text": "Discussed with the patient.", "time": instant(at)}
        body["note"] = [{"authorReference": chart.person.practitioner, **note}]
    return body


def _clinical(code: str) -> JsonObject:
    system = TERMINOLOGY + "condition-clinical"
    return {"coding": [coding(system, code, code.title())]}


def _onset(chart: Chart, seen_at: datetime) -> JsonObject:
    """When it began, in one of the precisions and shapes practices use."""
    years = chart.random.randint(0, 8)
    born = chart.person.born_on
    year = max(born.year, seen_at.year - years)
    kind = chart.random.randrange(4)
    if kind == 0:
        return {"onsetDateTime": str(year)}
    if kind == 1:
        day = max(born, seen_at.date() - timedelta(days=365 * years + 20))
        return {"onsetDateTime": day.isoformat()}
    if kind == 2:
        day = max(born, seen_at.date() - timedelta(days=30 * (years + 1)))
        return {"onsetDateTime": day.isoformat()[:7]}
    return {"onsetString": f"about {years + 1} years before it was recorded"}
