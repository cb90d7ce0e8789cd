"""A patient's life as the practice sees it: the chart so far, a day more, and its end."""

from datetime import datetime, timedelta

from ecw_pipeline.sandbox.population.chart import Chart, Person
from ecw_pipeline.sandbox.population.draw import working_hour
from ecw_pipeline.sandbox.population.people import add_patient, draw_person
from ecw_pipeline.sandbox.population.visits import add_visit
from ecw_pipeline.sandbox.population.vitals import add_questions, add_vitals

_LONGEST_HISTORY_DAYS = 4 * 365


def write_chart(chart: Chart, seed: int) -> None:
    """Write everything there is about a patient up to the chart's now."""
    person, names = draw_person(chart, seed)
    add_patient(chart, person, names)
    chart.person = person
    for start in visit_starts(chart, person):
        visit = add_visit(chart, person, start)
        if visit.took_place and not visit.is_virtual:
            add_vitals(chart, visit)
            add_questions(chart, visit)


def live_one_day(chart: Chart) -> None:
    """Something happens: the chart's random decides what."""
    add_vitals(chart, add_visit(chart, chart.person, chart.now - timedelta(hours=1)))


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
    count = random.randint(2, 7) + 2 * person.is_diabetic
    ages = sorted((random.randint(0, max(0, days)) for _ in range(count)), reverse=True)
    starts = (working_hour(random, last - timedelta(days=age + 1)) for age in ages)
    return [start for start in starts if start.date() >= person.born_on]
