"""One more day of an active patient: something new, something changed, perhaps something gone."""

from collections.abc import Callable
from datetime import datetime, timedelta

from ecw_pipeline.sandbox.population import care_plans, labs, medications, messages, tasks
from ecw_pipeline.sandbox.population.chart import Chart, Record, references
from ecw_pipeline.sandbox.population.conditions import is_open_complaint, resolve
from ecw_pipeline.sandbox.population.draw import chance
from ecw_pipeline.sandbox.population.life import happen
from ecw_pipeline.sandbox.population.people import address
from ecw_pipeline.sandbox.population.prevention import give_flu_shot
from ecw_pipeline.sandbox.population.visits import add_visit, finish_visit

_CHANGES_A_DAY = 3
_DELETABLE = frozenset({"AllergyIntolerance", "Communication", "Immunization", "Observation"})


def _status_is(status: str) -> Callable[[Record], bool]:
    return lambda record: record.resource.get("status") == status


def _move(chart: Chart, patient: Record) -> list[Record]:
    patient.resource["address"] = [address(chart.random, chart.now)]
    return [patient]


def _resolve(chart: Chart, condition: Record) -> list[Record]:
    resolve(condition, chart.now)
    return [condition]


def _stop_taking(chart: Chart, medication: Record) -> list[Record]:
    medications.stop_taking(medication, chart.now)
    return [medication]


def _finish_visit(chart: Chart, encounter: Record) -> list[Record]:
    finish_visit(encounter, chart.now)
    return [encounter]


# type, which of them can change, and what changes (and with it)
_CHANGES: tuple[
    tuple[str, Callable[[Record], bool], Callable[[Chart, Record], list[Record]]], ...
] = (
    ("Task", tasks.is_open, tasks.complete),
    ("DiagnosticReport", _status_is("preliminary"), labs.finalise),
    ("Condition", is_open_complaint, _resolve),
    ("Patient", lambda patient: patient.resource["active"], _move),
    ("MedicationRequest", _status_is("active"), _stop_taking),
    ("Encounter", _status_is("in-progress"), _finish_visit),
    ("CarePlan", _status_is("active"), care_plans.make_progress),
    ("Communication", _status_is("in-progress"), messages.complete),
    ("Goal", lambda goal: goal.resource["lifecycleStatus"] == "active", care_plans.achieve),
)


def live_one_day(chart: Chart) -> None:
    """Let the chart's day happen; every change is at the chart's now."""
    here_before = [record for record in chart.records if not record.deleted]
    _change_some(chart, here_before)
    if chance(chart.random, 30):
        _delete_one(chart, here_before)
    if chart.person.died_at is None:
        _visit_again(chart)


def _change_some(chart: Chart, records: list[Record]) -> None:
    possible = [
        (record, change)
        for resource_type, can_change, change in _CHANGES
        for record in records
        if record.resource_type == resource_type and can_change(record)
    ]
    chosen = chart.random.sample(possible, min(len(possible), _CHANGES_A_DAY))
    for record, change in chosen:
        for changed in change(chart, record):
            changed.changed(chart.now)


def _delete_one(chart: Chart, records: list[Record]) -> None:
    """Only what nothing refers to may go, so that references go on resolving."""
    referred = {ref for record in records for ref in references(record.resource)}
    free = [r for r in records if r.resource_type in _DELETABLE and r.reference not in referred]
    if free:
        gone = chart.random.choice(free)
        gone.deleted, gone.updated_at = True, chart.now


def _visit_again(chart: Chart) -> None:
    start = chart.now - timedelta(minutes=chart.random.randint(30, 240))
    visit = add_visit(chart, chart.person, start)
    if visit.took_place:
        happen(chart, visit, {})
        if chance(chart.random, 30) and _is_flu_season(chart.now):
            give_flu_shot(chart, visit)


def _is_flu_season(at: datetime) -> bool:
    return at.month in (9, 10, 11, 12, 1)
