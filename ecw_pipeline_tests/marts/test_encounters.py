"""Marts over encounters."""

from datetime import date
from typing import Any

from ecw_pipeline_tests.marts.warehouse import PRACTICE, Warehouse

MART = "telehealth_share_by_month"


def visit(start: str | None, *, telehealth: bool = False, **more: Any) -> dict[str, Any]:
    return {"status": "finished", "is_telehealth": telehealth, "period_start": start, **more}


def test_the_share_is_of_the_months_visits(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.encounter",
        visit("2024-01-05T10:00:00Z", telehealth=True),
        visit("2024-01-20"),
        visit("2024-01"),
        visit("2024-02-01T10:00:00Z", telehealth=True),
    )

    assert warehouse.mart(MART) == [
        (date(2024, 2, 1), PRACTICE, 1, 1, 1.0),
        (date(2024, 1, 1), PRACTICE, 3, 1, 0.3333),
    ]


def test_a_month_is_that_of_the_practices_clock(warehouse: Warehouse) -> None:
    warehouse.add("core.encounter", visit("2024-01-31T23:30:00-05:00"))

    assert warehouse.mart(MART, "month") == [(date(2024, 1, 1),)]


def test_visits_that_did_not_take_place_do_not_count(warehouse: Warehouse) -> None:
    kept = visit("2024-01-05", telehealth=True)
    statuses = ("planned", "cancelled", "noshow", "entered-in-error")
    warehouse.add("core.encounter", kept, *(visit("2024-01-06", status=s) for s in statuses))

    assert warehouse.mart(MART, "encounters, telehealth_share") == [(1, 1.0)]


def test_visits_of_an_unknown_month_are_kept_apart(warehouse: Warehouse) -> None:
    warehouse.add("core.encounter", visit("2024"), visit(None), visit("2024-03-01"))

    assert warehouse.mart(MART, "month, encounters") == [(date(2024, 3, 1), 1), (None, 2)]


def test_connections_are_counted_apart(warehouse: Warehouse) -> None:
    warehouse.add("core.encounter", visit("2024-03-01"), visit("2024-03-01", connection_id="b"))

    assert warehouse.mart(MART, "connection_id, encounters") == [("b", 1), (PRACTICE, 1)]
