"""Prescriptions: for problems that last, and for complaints."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant, refer
from ecw_pipeline.sandbox.population.codes import (
    RXNORM,
    SNOMED,
    JsonObject,
    concept,
    identifier,
    quantity,
    term,
)
from ecw_pipeline.sandbox.population.conditions import (
    ASTHMA,
    DEPRESSION,
    DIABETES,
    HYPERLIPIDEMIA,
    HYPERTENSION,
)
from ecw_pipeline.sandbox.population.draw import chance, weighted
from ecw_pipeline.sandbox.population.visits import Visit


@dataclass(frozen=True)
class Drug:
    """A row of the tables below; taken ``times`` a day for ``days`` days."""

    rxnorm: str
    display: str
    times: int
    days: int
    form: str = "tablet"
    route: tuple[str, str] = ("26643006", "Oral route")
    as_needed: bool = False


_LASTING = {
    DIABETES.snomed: Drug("860975", "metformin hydrochloride 500 MG Oral Tablet", 2, 90),
    HYPERTENSION.snomed: Drug("314076", "lisinopril 10 MG Oral Tablet", 1, 90),
    HYPERLIPIDEMIA.snomed: Drug("617310", "atorvastatin 20 MG Oral Tablet", 1, 90),
    ASTHMA.snomed: Drug(
        "745679", "albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", 4, 30, "puff",
        ("18679011000001101", "Inhalation"), as_needed=True,
    ),
    DEPRESSION.snomed: Drug("312938", "sertraline 50 MG Oral Tablet", 1, 90),
}  # fmt: skip
_SHORT = (
    Drug("308460", "azithromycin 250 MG Oral Tablet", 1, 5),
    Drug("308182", "amoxicillin 250 MG Oral Capsule", 3, 10, "capsule"),
    Drug("310965", "ibuprofen 200 MG Oral Tablet", 3, 7, as_needed=True),
    Drug("313782", "acetaminophen 325 MG Oral Tablet", 4, 7, as_needed=True),
)
# weight, status, why
_ENDINGS: tuple[tuple[int, str, tuple[str, str] | None], ...] = (
    (74, "active", None),
    (14, "stopped", ("sddi", "Drug interacts with another drug")),
    (6, "on-hold", ("surg", "Patient scheduled for surgery")),
    (6, "cancelled", ("altchoice", "Try another treatment first")),
)


def prescribe_for_problems(chart: Chart, visit: Visit, problems: dict[str, Record]) -> None:
    """What lasting problems need; a new prescription replaces none here."""
    for code, problem in problems.items():
        if chance(chart.random, 85):
            _, status, why = weighted(chart.random, _ENDINGS)
            record = _prescribe(chart, visit, _LASTING[code], problem, status)
            if why:
                record.resource["statusReason"] = term("medicationrequest-status-reason", *why)


def prescribe_for_complaint(chart: Chart, visit: Visit, complaint: Record) -> Record:
    """A short course; completed once its days are over."""
    drug = chart.random.choice(_SHORT)
    is_over = visit.end + timedelta(days=drug.days) < chart.now
    return _prescribe(chart, visit, drug, complaint, "completed" if is_over else "active")


def stop_taking(medication: Record, at: datetime) -> None:
    """The prescriber ends it."""
    resource = medication.resource
    resource["status"] = "stopped"
    reason = term(
        "medicationrequest-status-reason", "clarif", "Prescription requires clarification"
    )
    resource["statusReason"] = reason
    resource["dispenseRequest"]["validityPeriod"]["end"] = instant(at)


def _prescribe(chart: Chart, visit: Visit, drug: Drug, condition: Record, status: str) -> Record:
    number = f"RX{chart.number:06d}-{chart.series}{len(chart.records):04d}"
    body: JsonObject = {
        "identifier": [identifier("prescription", number)],
        "status": status,
        "intent": "order",
        "category": [term("medicationrequest-category", "community", "Community")],
        "priority": "routine",
        "reportedBoolean": False,
        "medicationCodeableConcept": concept(RXNORM, drug.rxnorm, drug.display),
        "subject": chart.subject,
        "encounter": visit.reference,
        "authoredOn": instant(visit.end),
        "requester": visit.person.practitioner,
        "recorder": visit.person.practitioner,
        "reasonCode": [condition.resource["code"]],
        "reasonReference": [refer(condition)],
        "courseOfTherapyType": _course(drug),
        "dosageInstruction": [_dosage(drug)],
        "dispenseRequest": _dispense(chart, visit, drug),
        "substitution": {"allowedBoolean": True},
    }
    if chance(chart.random, 25):
        body["note"] = [{"text": "Take with food.", "time": instant(visit.end)}]
    return chart.add("MedicationRequest", visit.end, body)


def _course(drug: Drug) -> JsonObject:
    kind = ("acute", "Short course") if drug.days < 30 else ("continuous", "Continuous long term")
    return term("medicationrequest-course-of-therapy", *kind)


def _dosage(drug: Drug) -> JsonObject:
    often = "once" if drug.times == 1 else f"{drug.times} times"
    dose = quantity(Decimal("1.0"), drug.form, "{" + drug.form + "}")
    ordered = term("dose-rate-type", "ordered", "Ordered")
    return {
        "sequence": 1,
        "text": f"1 {drug.form} {often} a day" + (" as needed" if drug.as_needed else ""),
        "patientInstruction": "Finish the whole course." if drug.days < 30 else "Do not skip.",
        "timing": {"repeat": {"frequency": drug.times, "period": 1, "periodUnit": "d"}},
        "asNeededBoolean": drug.as_needed,
        "route": concept(SNOMED, *drug.route),
        "doseAndRate": [{"type": ordered, "doseQuantity": dose}],
    }


def _dispense(chart: Chart, visit: Visit, drug: Drug) -> JsonObject:
    refills = 0 if drug.days < 30 else chart.random.randint(1, 3)
    until = visit.end + timedelta(days=drug.days * (refills + 1))
    amount = Decimal(drug.times * drug.days)
    return {
        "validityPeriod": {"start": instant(visit.end), "end": instant(until)},
        "numberOfRepeatsAllowed": refills,
        "quantity": quantity(amount, drug.form, "{" + drug.form + "}"),
        "expectedSupplyDuration": quantity(Decimal(drug.days), "days", "d"),
    }
