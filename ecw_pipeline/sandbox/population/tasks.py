"""What the staff has to do, from request to done, with the time it takes."""

from datetime import datetime, timedelta
from decimal import Decimal

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant, refer
from ecw_pipeline.sandbox.population.codes import (
    SANDBOX,
    SNOMED,
    JsonObject,
    coding,
    concept,
    identifier,
    term,
)
from ecw_pipeline.sandbox.population.draw import chance, weighted
from ecw_pipeline.sandbox.population.visits import Visit

_TASK_CODES = "http://hl7.org/fhir/CodeSystem/task-code"
_KINDS = (
    ("fulfill", "Fulfill the focal request", "Call the patient with the results"),
    ("approve", "Activate/approve the focal resource", "Approve the refill request"),
    ("change", "Change the focal resource", "Correct the patient's address"),
    ("fulfill", "Fulfill the focal request", "Obtain prior authorization — přednostně"),
)
# weight, status, what the practice calls it
_STATUSES = (
    (68, "completed", "Done"),
    (10, "in-progress", "Being worked on"),
    (8, "requested", "Waiting"),
    (5, "accepted", "Assigned"),
    (3, "on-hold", "Waiting for the patient"),
    (4, "cancelled", "No longer needed"),
    (2, "rejected", "Not ours"),
)
_OPEN = frozenset({"in-progress", "requested", "accepted", "on-hold"})
_REASONED = frozenset({"cancelled", "rejected", "on-hold"})
_PRIORITIES = ((75, "routine"), (18, "urgent"), (5, "asap"), (2, "stat"))


def add_task(chart: Chart, visit: Visit, focus: Record) -> Record:
    """A task that came out of a visit."""
    random = chart.random
    _, status, business = weighted(random, _STATUSES)
    authored_at = min(visit.end + timedelta(hours=random.randint(0, 60)), chart.now)
    hours = random.randint(1, 40) if chance(random, 70) else random.randint(40, 400)
    done_at = authored_at + timedelta(hours=hours, minutes=random.randrange(60))
    if done_at >= chart.now and status == "completed":
        status, business = "in-progress", "Being worked on"
    modified_at = authored_at if status == "requested" else min(done_at, chart.now)
    code, display, description = random.choice(_KINDS)
    body: JsonObject = {
        **_identity(chart),
        "status": status,
        "businessStatus": _business(business),
        "intent": "order" if chance(random, 85) else "plan",
        "priority": weighted(random, _PRIORITIES)[1],
        "code": concept(_TASK_CODES, code, display),
        "description": description,
        "focus": refer(focus),
        "for": chart.subject,
        "encounter": visit.reference,
        "executionPeriod": _execution(status, authored_at, modified_at),
        "authoredOn": instant(authored_at),
        "lastModified": instant(modified_at),
        "requester": visit.person.practitioner,
        "performerType": [term("task-performer-type", "performer", "Performer")],
        "owner": random.choice(chart.practice.practitioners),
        "location": chart.practice.offices[0],
        "reasonCode": concept(SNOMED, "185349003", "Encounter for check up"),
        "reasonReference": refer(focus),
        **_details(chart, authored_at),
    }
    if status in _REASONED:
        body["statusReason"] = {"text": business}
    task = chart.add("Task", modified_at, body)
    if status == "completed":
        _set_output(chart, task)
    return task


def is_open(task: Record) -> bool:
    """Whether somebody still has to do it."""
    return task.resource["status"] in _OPEN


def complete(chart: Chart, task: Record) -> list[Record]:
    """The task is done now. Returns what changed."""
    resource, at = task.resource, instant(chart.now)
    resource.pop("statusReason", None)
    resource["status"], resource["businessStatus"] = "completed", _business("Done")
    resource["lastModified"] = at
    start = resource.get("executionPeriod", {}).get("start", resource["authoredOn"])
    resource["executionPeriod"] = {"start": start, "end": at}
    resource.setdefault("note", []).append({"text": "Closed.", "time": at})
    _set_output(chart, task)
    return [task]


def _identity(chart: Chart) -> JsonObject:
    number = f"T{chart.number:06d}-{chart.series}{len(chart.records):04d}"
    return {
        "identifier": [identifier("task", number)],
        "basedOn": [{"display": "Standing order"}],
        "groupIdentifier": identifier("task-group", f"TG{chart.number:06d}"),
    }


def _business(text: str) -> JsonObject:
    return {"coding": [coding(f"{SANDBOX}task-status", text.lower(), text)], "text": text}


def _execution(status: str, start: datetime, end: datetime) -> JsonObject:
    period = {"start": instant(start)}
    return {**period, "end": instant(end)} if status == "completed" else period


def _details(chart: Chart, at: datetime) -> JsonObject:
    random = chart.random
    due = {"start": instant(at), "end": instant(at + timedelta(days=14))}
    body: JsonObject = {
        "restriction": {"repetitions": 1, "period": due, "recipient": [chart.subject]},
        "input": [{"type": {"text": "Attempts allowed"}, "valueInteger": random.randint(1, 3)}],
    }
    if chance(random, 50):
        note = {"time": instant(at), "text": "Left a voice message."}
        body["note"] = [{"authorReference": chart.person.practitioner, **note}]
    return body


def _set_output(chart: Chart, task: Record) -> None:
    minutes = Decimal(chart.random.randint(20, 400)).scaleb(-1)
    spent = {"type": {"text": "Minutes spent"}, "valueDecimal": minutes}
    task.resource["output"] = [{"type": {"text": "Result"}, "valueString": "Done"}, spent]
