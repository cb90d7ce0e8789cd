"""A patient's life as the practice sees it: the chart so far, and its end."""

from datetime import datetime, timedelta

from ecw_pipeline.sandbox.population import care_plans, labs, medications, messages, tasks
from ecw_pipeline.sandbox.population.chart import Chart, Person, Record
from ecw_pipeline.sandbox.population.conditions import add_complaint, add_problems
from ecw_pipeline.sandbox.population.draw import chance, working_hour
from ecw_pipeline.sandbox.population.further import add_further
from ecw_pipeline.sandbox.population.people import add_patient, draw_person
from ecw_pipeline.sandbox.population.prevention import add_allergies, add_immunizations
from ecw_pipeline.sandbox.population.procedures import add_procedure
from ecw_pipeline.sandbox.population.visits import Visit, add_visit, diagnose
from ecw_pipeline.sandbox.population.vitals import add_questions, add_vitals

_LONGEST_HISTORY_DAYS = 4 * 365


def write_chart(chart: Chart, seed: int) -> None:
    """Write everything there is about a patient up to the chart's now."""
    person, names = draw_person(chart, seed)
    chart.person = person
    add_patient(chart, person, names)
    visits = [add_visit(chart, person, start) for start in visit_starts(chart, person)]
    if person.died_at is None and chance(chart.random, 3):
        start = chart.now - timedelta(minutes=chart.random.randint(20, 400))
        visits.append(add_visit(chart, person, start, status="in-progress"))
    attended = [visit for visit in visits if visit.took_place]
    problems = add_problems(chart, attended)
    for visit in attended:
        happen(chart, visit, problems)
    add_allergies(chart, attended)
    add_immunizations(chart, attended)
    if attended:
        medications.prescribe_for_problems(chart, attended[-1], problems)
        if problems:
            care_plans.add_care_plan(chart, problems, attended[-1].reference)
        add_further(chart, attended[-1])


def happen(chart: Chart, visit: Visit, problems: dict[str, Record]) -> None:
    """Everything that comes out of one visit."""
    random = chart.random
    for rank, problem in enumerate(problems.values(), start=2):
        if chance(random, 60):
            diagnose(visit, problem, rank)
    complaint = add_complaint(chart, visit) if chance(random, 35) else None
    if complaint is not None and chance(random, 50):
        medications.prescribe_for_complaint(chart, visit, complaint)
    report = None if visit.is_virtual else _examine(chart, visit)
    if chance(random, 30):
        add_procedure(chart, visit, complaint, report)
    if chance(random, 40):
        messages.add_reminder(chart, visit)
    if chance(random, 35):
        messages.add_thread(chart, visit, visit.record)
    if chance(random, 40):
        tasks.add_task(chart, visit, report or visit.record)


def remove_patient(chart: Chart, at: datetime) -> None:
    """The practice deletes a patient with all that belongs to it."""
    for record in chart.records:
        if not record.deleted:
            record.deleted, record.updated_at = True, at


def visit_starts(chart: Chart, person: Person) -> list[datetime]:
    """When the patient came, oldest first; never before birth nor after death."""
    random = chart.random
    last = person.died_at or chart.now - timedelta(days=1)
    lived = (last.date() - person.born_on).days - 1
    days = min(lived, _LONGEST_HISTORY_DAYS)
    count = random.randint(3, 9) + 2 * person.is_diabetic
    ages = sorted((random.randint(0, max(0, days)) for _ in range(count)), reverse=True)
    starts = (working_hour(random, last - timedelta(days=age + 1)) for age in ages)
    return [start for start in starts if start.date() >= person.born_on]


def _examine(chart: Chart, visit: Visit) -> Record | None:
    """What needs the patient in the room: vital signs, blood, pictures."""
    random, report = chart.random, None
    add_vitals(chart, visit)
    if chance(random, 40):
        add_questions(chart, visit)
    if visit.person.is_diabetic or chance(random, 8):
        report = labs.add_panel(chart, visit, labs.A1C_PANEL)
    if chance(random, 40):
        report = labs.add_panel(chart, visit, random.choice(labs.PANELS))
    if chance(random, 8):
        report = labs.add_imaging(chart, visit)
    if chance(random, 6):
        labs.add_urine_and_titre(chart, visit)
    return report
