"""Marts over messages, tasks and reports: how long things take."""

from datetime import date
from typing import Any

import pytest

from ecw_pipeline_tests.marts.warehouse import PRACTICE, Warehouse

MESSAGES = "message_response_time"
TASKS = "task_turnaround"
REPORTS = "report_turnaround"


def message(key: str, sent: str, *, sender: str = "Patient", **more: Any) -> dict[str, Any]:
    return {
        "communication_id": key,
        "status": "completed",
        "sender_type": sender,
        "sent": sent,
        "sent_at": sent,
        **more,
    }


def answers(key: str, to: str) -> dict[str, Any]:
    return {
        "communication_id": key,
        "element": "in_response_to",
        "reference_type": "Communication",
        "reference_id": to,
    }


def test_messages_wait_for_the_practices_first_answer(warehouse: Warehouse) -> None:
    warehouse.exported("Communication", "2024-01-20T00:00:00Z")
    warehouse.add(
        "core.communication",
        message("m1", "2024-01-01T00:00:00Z"),
        message("r1", "2024-01-01T04:00:00Z", sender="Practitioner"),
        message("r1b", "2024-01-01T02:00:00Z", sender="Practitioner"),
        message("m2", "2024-01-02T00:00:00Z"),
        message("r2", "2024-01-02T06:30:00Z", sender="Organization"),
        message("m3", "2024-01-19T00:00:00Z", status="in-progress"),
        message("note", "2024-01-03T00:00:00Z", sender="Practitioner"),
    )
    pairs = (("r1", "m1"), ("r1b", "m1"), ("r2", "m2"))
    warehouse.add("core.communication_reference", *(answers(*pair) for pair in pairs))

    assert warehouse.mart(MESSAGES) == [
        (date(2024, 1, 1), PRACTICE, 3, 2, 1, 6.5, None, 24.0),
    ]


def test_an_answer_from_the_patients_side_is_none(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.communication",
        message("m1", "2024-01-01T00:00:00Z"),
        message("p1", "2024-01-01T01:00:00Z", sender="RelatedPerson"),
        message("bad", "2024-01-01T01:00:00Z", sender="Practitioner", status="entered-in-error"),
        message("past", "2023-12-31T01:00:00Z", sender="Practitioner"),
    )
    pairs = (("p1", "m1"), ("bad", "m1"), ("past", "m1"))
    warehouse.add("core.communication_reference", *(answers(*pair) for pair in pairs))

    assert warehouse.mart(MESSAGES, "messages, answered, still_open") == [(1, 0, 1)]


def test_the_month_is_that_of_the_message(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.communication",
        message("m1", "2024-01-31T23:00:00Z"),
        message("r1", "2024-02-01T01:00:00Z", sender="Practitioner"),
    )
    warehouse.add("core.communication_reference", answers("r1", "m1"))

    assert warehouse.mart(MESSAGES, "month, median_hours, p90_hours") == [
        (date(2024, 1, 1), 2.0, 2.0)
    ]


def task(status: str | None, ended: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "status": status,
        "code_text": "Call",
        "priority": "urgent",
        "authored_at": "2024-02-01T00:00:00Z",
        "execution_period_end_at": ended,
        **more,
    }


def test_tasks_are_timed_when_done_and_counted_when_not(warehouse: Warehouse) -> None:
    warehouse.exported("Task", "2024-02-10T00:00:00Z")
    warehouse.add(
        "core.task",
        task("completed", "2024-02-01T02:00:00Z"),
        task("completed", "2024-02-01T06:00:00Z"),
        task("completed", None, last_modified_at="2024-02-01T12:00:00Z"),
        task("completed", "2024-01-01T00:00:00Z"),
        task("in-progress", restriction_period_end_at="2024-02-05T00:00:00Z"),
        task("requested", restriction_period_end_at="2024-02-25T00:00:00Z"),
        task("cancelled"),
        task("entered-in-error"),
        task("draft"),
        task(None),
    )

    assert warehouse.mart(TASKS) == [
        (PRACTICE, "Call", "urgent", 8, 4, 1, 3, 1, 6.0, 10.8, 216.0, 0),
    ]


def closed(key: str, status: str, valid_to: str, by: str = "superseded") -> dict[str, Any]:
    return {"task_id": key, "status": status, "valid_to": valid_to, "closed_by": by}


def test_a_task_without_an_end_is_timed_by_its_change_to_completed(warehouse: Warehouse) -> None:
    changed = "2024-02-20T00:00:00Z"  # long after: somebody wrote a note
    warehouse.add(
        "history.task",
        closed("t1", "requested", "2024-02-01T01:00:00Z"),
        closed("t1", "in-progress", "2024-02-01T05:00:00Z"),
        closed("t1", "completed", "2024-02-19T00:00:00Z"),
        closed("reopened", "requested", "2024-02-01T02:00:00Z"),
        closed("reopened", "completed", "2024-02-01T03:00:00Z"),
        closed("reopened", "in-progress", "2024-02-01T07:00:00Z"),
        closed("recorded", "in-progress", "2024-02-09T00:00:00Z"),
        closed("open", "requested", "2024-02-01T02:00:00Z"),
    )
    warehouse.add(
        "core.task",
        task("completed", task_id="t1", last_modified_at=changed),
        task("completed", task_id="reopened", last_modified_at=changed),
        task("completed", "2024-02-01T06:00:00Z", task_id="recorded"),
        task("in-progress", task_id="open"),
    )

    found = warehouse.mart(TASKS, "completed, open, median_hours, p90_hours, timed_from_history")
    assert found == [(3, 1, 6.0, 6.8, 2)]  # 5, 6 and 7 hours


def test_a_task_deleted_before_it_came_back_completed_did_not_change(warehouse: Warehouse) -> None:
    warehouse.add(
        "history.task",
        closed("t1", "requested", "2024-02-01T01:00:00Z"),
        closed("t1", "in-progress", "2024-02-01T05:00:00Z", by="deleted"),
    )
    last = "2024-02-01T08:00:00Z"
    warehouse.add("core.task", task("completed", task_id="t1", last_modified_at=last))

    assert warehouse.mart(TASKS, "median_hours, timed_from_history") == [(8.0, 0)]


def test_a_task_without_kind_or_priority_has_a_row(warehouse: Warehouse) -> None:
    warehouse.add("core.task", task("requested", code_text=None, priority=None))

    assert warehouse.mart(TASKS, "task, priority, open") == [("unknown", "routine", 1)]


def report(status: str, issued: str | None, **more: Any) -> dict[str, Any]:
    return {
        "status": status,
        "category_display": "Laboratory",
        "code_text": "Lipid panel",
        "effective_at": "2024-02-01T00:00:00Z",
        "issued_at": issued,
        **more,
    }


def test_reports_are_timed_from_test_to_issue(warehouse: Warehouse) -> None:
    warehouse.add(
        "core.diagnostic_report",
        report("final", "2024-02-01T10:00:00Z"),
        report("amended", "2024-02-01T20:00:00Z"),
        report("final", "2024-01-31T00:00:00Z"),
        report("final", None),
        report("preliminary", "2024-02-09T00:00:00Z"),
        report("cancelled", "2024-02-09T00:00:00Z"),
    )

    assert warehouse.mart(REPORTS) == [
        (PRACTICE, "Laboratory", "Lipid panel", 5, 4, 1, 1, 15.0, 19.0, 0),
    ]


def was(key: str, status: str, valid_to: str, issued: str | None = None) -> dict[str, Any]:
    period = {"valid_to": valid_to, "closed_by": "superseded"}
    return {**report(status, issued), "diagnostic_report_id": key, **period}


def test_a_corrected_report_was_issued_when_it_first_was(warehouse: Warehouse) -> None:
    warehouse.add(
        "history.diagnostic_report",
        was("r1", "preliminary", "2024-02-01T09:00:00Z", issued="2024-02-01T02:00:00Z"),
        was("r1", "final", "2024-02-05T00:00:00Z", issued="2024-02-01T08:00:00Z"),
        was("r1", "amended", "2024-02-08T00:00:00Z", issued="2024-02-05T00:00:00Z"),
    )
    corrected = report("corrected", "2024-02-08T00:00:00Z", diagnostic_report_id="r1")
    warehouse.add("core.diagnostic_report", corrected)

    found = warehouse.mart(REPORTS, "reports, issued, median_hours, timed_from_history")
    assert found == [(1, 1, 8.0, 0)]


def test_a_report_without_a_time_of_issue_is_timed_by_its_change(warehouse: Warehouse) -> None:
    warehouse.add(
        "history.diagnostic_report",
        was("r1", "registered", "2024-02-01T03:00:00Z"),
        was("r1", "preliminary", "2024-02-01T09:00:00Z"),
        was("r1", "final", "2024-02-05T00:00:00Z"),
        was("r2", "registered", "2024-02-01T03:00:00Z"),
    )
    warehouse.add(
        "core.diagnostic_report",
        report("amended", None, diagnostic_report_id="r1"),
        report("preliminary", None, diagnostic_report_id="r2"),
    )

    found = warehouse.mart(REPORTS, "issued, pending, median_hours, timed_from_history")
    assert found == [(1, 1, 9.0, 1)]


@pytest.mark.parametrize(
    ("named", "category"),
    [
        ({"category_display": None, "category_text": "Lab"}, "Lab"),
        ({"category_display": None, "category_code": "LAB"}, "LAB"),
        ({"category_display": None}, "unknown"),
    ],
)
def test_a_reports_category_is_named_as_well_as_it_can_be(
    warehouse: Warehouse, named: dict[str, Any], category: str
) -> None:
    warehouse.add("core.diagnostic_report", report("final", None, **named))

    assert warehouse.mart(REPORTS, "category") == [(category,)]
