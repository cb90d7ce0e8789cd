"""Care plans with activities, and the goals they work towards."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant, refer
from ecw_pipeline.sandbox.population.codes import (
    LOINC,
    SNOMED,
    US_CORE,
    JsonObject,
    concept,
    identifier,
    quantity,
    term,
)
from ecw_pipeline.sandbox.population.conditions import DIABETES, HYPERTENSION
from ecw_pipeline.sandbox.population.draw import chance, weighted

_ASSESSMENT = {
    "coding": [
        {
            "system": US_CORE.replace("StructureDefinition", "CodeSystem") + "careplan-category",
            "code": "assess-plan",
            "display": "Assessment and Plan of Treatment",
        }
    ],
    "text": "Assessment and Plan of Treatment",
}
# goal text, measure, target, unit
_GOALS = {
    DIABETES.snomed: (
        "Hemoglobin A1c below 7.0 %", "4548-4", "Hemoglobin A1c", "7.0", "%", "%"),
    HYPERTENSION.snomed: (
        "Systolic pressure below 130 mmHg", "8480-6", "Systolic blood pressure",
        "130", "mmHg", "mm[Hg]"),
}  # fmt: skip
_WEIGHT = ("Body mass index below 27", "39156-5", "BMI", "27.0", "kg/m2", "kg/m2")
# kind, SNOMED code, display, what is said of it
_ACTIVITIES = (
    ("ServiceRequest", "229065009", "Exercise therapy", "Walk at least 30 minutes"),
    ("NutritionOrder", "284093001", "Diabetic diet", "Low sugar, more vegetables"),
    ("Appointment", "390906007", "Follow-up encounter", "See the practice again"),
    ("Task", "698472009", "Blood pressure self-monitoring", "Measure in the morning"),
)
_STATUSES = ((72, "active"), (14, "completed"), (6, "on-hold"), (5, "revoked"), (3, "draft"))
_DONE = concept(SNOMED, "182840001", "Goal achieved")


def add_care_plan(chart: Chart, problems: dict[str, Record], encounter: JsonObject) -> None:
    """A plan for the lasting problems of a patient who was seen."""
    random = chart.random
    begun_at = chart.now - timedelta(days=random.randint(20, 500))
    begun_at = max(begun_at, datetime.fromisoformat(f"{chart.person.born_on}T12:00:00+00:00"))
    _, status = weighted(random, _STATUSES)
    goals = [_add_goal(chart, begun_at, problem, _GOALS.get(code, _WEIGHT))
             for code, problem in problems.items()]  # fmt: skip
    title = "Plan of care: " + ", ".join(p.resource["code"]["text"] for p in problems.values())
    number = f"CP{chart.number:06d}-{chart.series}{len(chart.records):04d}"
    body: JsonObject = {
        "text": _narrative(title),
        "identifier": [identifier("care-plan", number)],
        "status": status,
        "intent": "plan" if chance(random, 80) else "order",
        "category": [_ASSESSMENT],
        "title": title,
        "description": "Agreed with the patient; reviewed at every visit.",
        "subject": chart.subject,
        "encounter": encounter,
        "period": _period(chart, status, begun_at),
        "created": instant(begun_at),
        "author": chart.person.practitioner,
        "contributor": [chart.person.practitioner, chart.subject],
        "addresses": [refer(problem) for problem in problems.values()],
        "goal": [refer(goal) for goal in goals],
        "activity": [_activity(chart, i, begun_at, goals) for i in range(random.randint(2, 4))],
        "note": [{"text": "Plan printed for the patient.", "time": instant(begun_at)}],
    }
    chart.add("CarePlan", begun_at, body)


def make_progress(chart: Chart, plan: Record) -> list[Record]:
    """Somebody notes progress on the plan's first activity. Returns what changed."""
    first, *rest = plan.resource["activity"]
    note = {"time": instant(chart.now), "text": "Going well."}
    moved = {**first, "progress": [*first.get("progress", ()), note]}
    moved["outcomeCodeableConcept"] = [_DONE]
    plan.resource["activity"] = [moved, *rest]
    return [plan]


def achieve(chart: Chart, goal: Record) -> list[Record]:
    """The goal is reached. Returns what changed."""
    goal.resource["lifecycleStatus"] = "completed"
    goal.resource["achievementStatus"] = term("goal-achievement", "achieved", "Achieved")
    goal.resource["statusDate"] = chart.now.date().isoformat()
    return [goal]


def _period(chart: Chart, status: str, begun_at: datetime) -> JsonObject:
    period = {"start": instant(begun_at)}
    if status in ("completed", "revoked"):
        return {**period, "end": instant(min(begun_at + timedelta(days=180), chart.now))}
    return period


def _narrative(title: str) -> JsonObject:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{title}</div>'
    return {"status": "generated", "div": div}


def _add_goal(
    chart: Chart, at: datetime, problem: Record, row: tuple[str, str, str, str, str, str]
) -> Record:
    text, code, display, target, unit, ucum = row
    due = (at + timedelta(days=180)).date().isoformat()
    limit = quantity(Decimal(target), unit, ucum)
    body: JsonObject = {
        "lifecycleStatus": "active",
        "achievementStatus": term("goal-achievement", "in-progress", "In Progress"),
        "category": [term("goal-category", "physiotherapy", "Physiotherapy")],
        "priority": term("goal-priority", "medium-priority", "Medium Priority"),
        "description": {"text": text},
        "subject": chart.subject,
        "startDate": at.date().isoformat(),
        "target": [
            {
                "measure": concept(LOINC, code, display),
                "detailQuantity": {**limit, "comparator": "<"},
                "dueDate": due,
            }
        ],
        "statusDate": at.date().isoformat(),
        "expressedBy": chart.subject,
        "addresses": [refer(problem)],
        "note": [{"text": "The patient's own words were used."}],
    }
    return chart.add("Goal", at, body)


def _activity(chart: Chart, position: int, at: datetime, goals: list[Record]) -> JsonObject:
    random = chart.random
    kind, code, display, text = _ACTIVITIES[position]
    schedules = (partial(_weekly, at), partial(_until, at), _in_words)
    detail: JsonObject = {
        "kind": kind,
        "code": concept(SNOMED, code, display),
        "reasonCode": [concept(SNOMED, "409073007", "Education")],
        "goal": [refer(goal) for goal in goals[:1]],
        "status": random.choice(("not-started", "scheduled", "in-progress", "completed")),
        "statusReason": {"text": "As planned"},
        "doNotPerform": False,
        **schedules[position % 3](),
        "location": chart.practice.offices[0],
        "performer": [chart.subject],
        "description": text,
    }
    activity: JsonObject = {"detail": detail}
    if detail["status"] in ("in-progress", "completed"):
        activity["progress"] = [{"time": instant(at + timedelta(days=9)), "text": "Has begun."}]
    if detail["status"] == "completed":
        activity["outcomeCodeableConcept"] = [_DONE]
        activity["outcomeReference"] = [refer(goal) for goal in goals[:1]]
    return activity


def _weekly(at: datetime) -> JsonObject:
    bounds = {"start": at.date().isoformat()}
    repeat = {"boundsPeriod": bounds, "frequency": 3, "period": Decimal("1.0"), "periodUnit": "wk"}
    return {"scheduledTiming": {"repeat": repeat}}


def _until(at: datetime) -> JsonObject:
    end = (at + timedelta(days=90)).date().isoformat()
    return {"scheduledPeriod": {"start": at.date().isoformat(), "end": end}}


def _in_words() -> JsonObject:
    return {"scheduledString": "Every three months"}
