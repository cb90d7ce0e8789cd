"""Vital signs and other things measured or asked at a visit, one Observation each."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant
from ecw_pipeline.sandbox.population.codes import (
    LOINC,
    SNOMED,
    JsonObject,
    concept,
    decimal_between,
    quantity,
    term,
)
from ecw_pipeline.sandbox.population.draw import chance
from ecw_pipeline.sandbox.population.visits import Visit

VITAL_SIGNS = ("vital-signs", "Vital Signs")
SOCIAL = ("social-history", "Social History")
SURVEY = ("survey", "Survey")
EXAM = ("exam", "Exam")

# LOINC, display, unit, UCUM, lowest, highest
_SIMPLE_VITALS = (
    ("8867-4", "Heart rate", "beats/minute", "/min", "54", "104"),
    ("9279-1", "Respiratory rate", "breaths/minute", "/min", "11", "22"),
    ("8310-5", "Body temperature", "Cel", "Cel", "36.1", "38.0"),
    ("2708-6", "Oxygen saturation in Arterial blood", "%", "%", "93", "100"),
)
_SMOKING = (
    ("266919005", "Never smoked tobacco"),
    ("8517006", "Former smoker"),
    ("77176002", "Smoker"),
)
_METHODS = (("37931006", "Auscultation"), ("17146006", "Arterial pressure monitoring"))
_ARM = concept(SNOMED, "368209003", "Right upper arm")


def observe(
    chart: Chart, visit: Visit, category: tuple[str, str], code: JsonObject, **value: Any
) -> Record:
    """Write an Observation made during a visit; ``value`` holds value[x] and what goes with it."""
    at = visit.start
    body: JsonObject = {
        "status": "final",
        "category": [term("observation-category", *category)],
        "code": code,
        "subject": chart.subject,
        "encounter": visit.reference,
        "effectiveDateTime": instant(at),
        "issued": instant(visit.end),
        "performer": [visit.person.practitioner],
        **value,
    }
    return chart.add("Observation", visit.end, body)


def add_vitals(chart: Chart, visit: Visit) -> None:
    """Everything a nurse takes down at an office visit."""
    random = chart.random
    add_blood_pressure(chart, visit)
    _add_body_size(chart, visit)
    for code, display, unit, ucum, low, high in _SIMPLE_VITALS:
        if chance(random, 65):
            measured = quantity(decimal_between(random, low, high), unit, ucum)
            vital = concept(LOINC, code, display)
            observe(chart, visit, VITAL_SIGNS, vital, valueQuantity=measured)


def add_blood_pressure(chart: Chart, visit: Visit) -> Record:
    """The panel with systolic and diastolic as components."""
    random, high = chart.random, 22 if visit.person.is_hypertensive else 0
    systolic = Decimal(random.randint(98, 134) + random.randint(0, high))
    diastolic = Decimal(random.randint(60, 86) + random.randint(0, high // 2))
    component = [
        _pressure("8480-6", "Systolic blood pressure", systolic, Decimal(140)),
        _pressure("8462-4", "Diastolic blood pressure", diastolic, Decimal(90)),
    ]
    panel = concept(LOINC, "85354-9", "Blood pressure panel with all children optional")
    extra = {"method": concept(SNOMED, *random.choice(_METHODS))} if chance(random, 30) else {}
    return observe(chart, visit, VITAL_SIGNS, panel, component=component, bodySite=_ARM, **extra)


def interpretation(value: Decimal, high: Decimal, low: Decimal | None = None) -> JsonObject:
    """High, low or normal, as HL7 codes it."""
    if value > high:
        return term("v3-ObservationInterpretation", "H", "High")
    if low is not None and value < low:
        return term("v3-ObservationInterpretation", "L", "Low")
    return term("v3-ObservationInterpretation", "N", "Normal")


def _pressure(code: str, display: str, value: Decimal, high: Decimal) -> JsonObject:
    return {
        "code": concept(LOINC, code, display),
        "valueQuantity": quantity(value, "mmHg", "mm[Hg]"),
        "interpretation": [interpretation(value, high)],
        "referenceRange": [{"high": quantity(high, "mmHg", "mm[Hg]")}],
    }


def _add_body_size(chart: Chart, visit: Visit) -> None:
    random, age = chart.random, visit.person.age_on(visit.start.date())
    height = _height(visit.person.number, visit.person.gender, age)
    bmi = decimal_between(random, "24.00", "37.00" if visit.person.is_diabetic else "31.00")
    if age < 18:
        bmi = decimal_between(random, "14.00", "23.00")
    weight = (bmi * height * height / 10_000).quantize(Decimal("0.1"))
    for code, display, value, unit, ucum in (
        ("8302-2", "Body height", height, "cm", "cm"),
        ("29463-7", "Body weight", weight, "kg", "kg"),
        ("39156-5", "Body mass index (BMI) [Ratio]", bmi, "kg/m2", "kg/m2"),
    ):
        size = concept(LOINC, code, display)
        observe(chart, visit, VITAL_SIGNS, size, valueQuantity=quantity(value, unit, ucum))


def _height(number: int, gender: str, age: int) -> Decimal:
    grown = Decimal(1620 if gender == "female" else 1750) + number * 37 % 160 - 80
    return ((grown if age >= 18 else Decimal(500) + age * 65) / 10).quantize(Decimal("0.1"))


def add_questions(chart: Chart, visit: Visit) -> None:
    """What is asked rather than measured: every kind of value but a quantity."""
    random, at = chart.random, visit.start
    smoking = concept(SNOMED, *_SMOKING[visit.person.number % 3])
    _ask(chart, visit, SOCIAL, "72166-2", "Tobacco smoking status", valueCodeableConcept=smoking)
    score = random.randint(0, 18)
    _ask(chart, visit, SURVEY, "44261-6", "PHQ-9 total score", valueInteger=score)
    steady = concept(LOINC, "52552-7", "Falls in the past year")
    observe(chart, visit, SURVEY, steady, valueBoolean=chance(random, 20))
    note = random.choice(("Alert and oriented.", "No acute distress.", "Řeč plynulá, 元気."))
    _ask(chart, visit, EXAM, "29545-1", "Physical findings", valueString=note)
    if chance(random, 30):
        _ask(chart, visit, SOCIAL, "11341-5", "History of occupation", dataAbsentReason=_declined())
    if visit.person.gender == "female" and 15 <= visit.person.age_on(at.date()) < 50:
        started = date.fromordinal(at.toordinal() - random.randint(1, 32)).isoformat()
        _ask(chart, visit, SOCIAL, "8665-2", "Last menstrual period", valueDateTime=started)
    if chance(random, 20):
        _add_pain_and_sleep(chart, visit, at)


def _add_pain_and_sleep(chart: Chart, visit: Visit, at: datetime) -> None:
    low = chart.random.randint(0, 5)
    pain = {"low": quantity(Decimal(low), "{score}", "{score}")}
    pain["high"] = quantity(Decimal(low + 3), "{score}", "{score}")
    _ask(chart, visit, SURVEY, "72514-3", "Pain severity 0-10", valueRange=pain)
    slept = {"start": instant(at.replace(hour=3)), "end": instant(at.replace(hour=11))}
    _ask(chart, visit, SURVEY, "93832-4", "Sleep duration", valuePeriod=slept)
    woke = f"{chart.random.randint(5, 8):02d}:30:00"
    _ask(chart, visit, SURVEY, "65561-3", "Usual time of waking", valueTime=woke)


def _declined() -> JsonObject:
    return term("data-absent-reason", "asked-declined", "Asked But Declined")


def _ask(
    chart: Chart, visit: Visit, category: tuple[str, str], code: str, display: str, **value: Any
) -> Record:
    return observe(chart, visit, category, concept(LOINC, code, display), **value)
