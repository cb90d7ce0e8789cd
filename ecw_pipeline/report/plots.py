"""What the report shows: each plot a question to the warehouse and a way to draw the answer.

Everything is an aggregate over the practice; no plot tells of one patient.
"""

from dataclasses import dataclass
from typing import Literal

import duckdb

from ecw_pipeline.warehouse.database import STORAGE_ERRORS

Kind = Literal["bars", "lines", "pyramid"]
Unit = Literal["count", "share", "hours"]


@dataclass(frozen=True)
class Plot:
    """A plot of the report.

    ``sql`` gives rows of (label, value) for bars, (label, series, value) for lines, and (label,
    left, right) for a pyramid.
    """

    title: str
    caption: str
    kind: Kind
    unit: Unit
    heads: tuple[str, ...]
    sql: str


Rows = list[tuple[object, ...]]


# More lines than that, and a reader cannot tell them apart.
_MOST_LINES = 6


def _events(of_type: str) -> str:
    return f"""
        WITH monthly AS (
            SELECT date_trunc('month', happened_at)::DATE AS month, resource_type,
                   count(*) AS events
            FROM marts.patient_timeline WHERE resource_type {of_type} GROUP BY ALL),
        latest AS (SELECT DISTINCT month FROM monthly WHERE month <= current_date
                   ORDER BY month DESC LIMIT 36),
        ranked AS (SELECT resource_type, row_number() OVER (
                       ORDER BY sum(events) DESC, resource_type) AS rank
                   FROM monthly SEMI JOIN latest USING (month) GROUP BY resource_type)
        SELECT strftime(month, '%Y-%m'),
               CASE WHEN rank <= {_MOST_LINES} THEN resource_type ELSE 'other types' END AS line,
               sum(events)::BIGINT
        FROM monthly SEMI JOIN latest USING (month) JOIN ranked USING (resource_type)
        GROUP BY ALL ORDER BY 1, 2
        """


PLOTS = (
    Plot(
        "What there is",
        "Resources of each type in core, as they are now.",
        "bars",
        "count",
        ("type", "resources"),
        "SELECT resource_type, count(*) FROM ops.resource_span WHERE valid_to IS NULL"
        " GROUP BY ALL ORDER BY 2 DESC, 1",
    ),
    Plot(
        "Results and vital signs, by month",
        "Observations of the last 36 months with any (marts.patient_timeline).",
        "lines",
        "count",
        ("month", "type", "events"),
        _events("= 'Observation'"),
    ),
    Plot(
        "What else happened, by month",
        "Other dated events of patients, of the last 36 months with any (marts.patient_timeline).",
        "lines",
        "count",
        ("month", "type", "events"),
        _events("<> 'Observation'"),
    ),
    Plot(
        "How fresh it is",
        "Hours that a type lags behind the connection's freshest (marts.data_freshness).",
        "bars",
        "hours",
        ("type", "hours behind"),
        "SELECT resource_type, max(behind_hours) FROM marts.data_freshness"
        " GROUP BY ALL ORDER BY 2 DESC, 1",
    ),
    Plot(
        "How complete it is",
        "Share of resources that say both what and when (marts.completeness_by_type: the lesser"
        " of the two).",
        "bars",
        "share",
        ("type", "share"),
        "SELECT resource_type, least(sum(with_code), sum(with_date)) / sum(resources)"
        " FROM marts.completeness_by_type GROUP BY ALL ORDER BY 2, 1",
    ),
    Plot(
        "Who the patients are",
        "Living patients by age and gender (marts.patients_by_age_band); others and unknown are"
        " in neither half.",
        "pyramid",
        "count",
        ("age", "female", "male"),
        "SELECT age_band, sum(patients) FILTER (gender = 'female'),"
        " sum(patients) FILTER (gender = 'male') FROM marts.patients_by_age_band"
        " GROUP BY ALL ORDER BY min(age_from) DESC NULLS FIRST",
    ),
    Plot(
        "Visits, by month",
        "Encounters of the last 24 months with any, and those by telehealth"
        " (marts.telehealth_share_by_month).",
        "lines",
        "count",
        ("month", "kind", "encounters"),
        """
        WITH latest AS (SELECT DISTINCT month FROM marts.telehealth_share_by_month
                        WHERE month <= current_date ORDER BY month DESC LIMIT 24)
        SELECT strftime(month, '%Y-%m'), unnest(['all', 'telehealth']),
               unnest([sum(encounters), sum(telehealth_encounters)])
        FROM marts.telehealth_share_by_month SEMI JOIN latest USING (month)
        GROUP BY month ORDER BY 1, 2
        """,
    ),
    Plot(
        "How soon messages are answered",
        "Median hours by month of the message (marts.message_response_time), over practices the"
        " longest.",
        "lines",
        "hours",
        ("month", "kind", "hours"),
        "SELECT strftime(month, '%Y-%m'), 'median', max(median_hours)"
        " FROM marts.message_response_time WHERE month IS NOT NULL AND median_hours IS NOT NULL"
        " GROUP BY month ORDER BY 1",
    ),
    Plot(
        "How soon tasks are done",
        "Median hours by task, the ten slowest (marts.task_turnaround).",
        "bars",
        "hours",
        ("task", "median hours"),
        "SELECT task, max(median_hours) FROM marts.task_turnaround"
        " WHERE median_hours IS NOT NULL GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 10",
    ),
    Plot(
        "How soon reports are issued",
        "Median hours by report, the ten slowest (marts.report_turnaround).",
        "bars",
        "hours",
        ("report", "median hours"),
        "SELECT report, max(median_hours) FROM marts.report_turnaround"
        " WHERE median_hours IS NOT NULL GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 10",
    ),
    Plot(
        "How well care works",
        "Rates of the last three measurement years, of all practices together (marts.hba1c_control:"
        " above 9 % or untested, lower is better; marts.blood_pressure_control: below 140/90,"
        " higher is better).",
        "bars",
        "share",
        ("measure", "rate"),
        """
        WITH rates AS (
            SELECT 'HbA1c > 9 %' AS measure, measurement_year AS year,
                   sum(poor_control) / nullif(sum(denominator), 0) AS rate
            FROM marts.hba1c_control GROUP BY ALL
            UNION ALL
            SELECT 'pressure < 140/90', measurement_year,
                   sum(controlled) / nullif(sum(denominator), 0)
            FROM marts.blood_pressure_control GROUP BY ALL)
        SELECT measure || ', ' || year, rate FROM rates
        WHERE year > (SELECT max(year) FROM rates) - 3 ORDER BY measure, year
        """,
    ),
    Plot(
        "Who is immunised against influenza",
        "Share of patients by season and age (marts.flu_immunization).",
        "lines",
        "share",
        ("season", "age", "share"),
        "SELECT season, age_band, sum(immunized) / nullif(sum(patients), 0)"
        " FROM marts.flu_immunization GROUP BY ALL ORDER BY 1, 2",
    ),
)


def answer(connection: duckdb.DuckDBPyConnection, plot: Plot) -> Rows | str:
    """A plot's rows without those that have no value; or, in words, why there are none."""
    try:
        rows = connection.execute(plot.sql).fetchall()
    except STORAGE_ERRORS:
        raise
    except duckdb.CatalogException:
        return "Its mart has not been built: materialise it, or run `ecw export`."
    whole = [row for row in rows if any(value is not None for value in row[1:])]
    return whole or "Nothing yet."
