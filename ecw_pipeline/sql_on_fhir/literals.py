"""Values written in a path, as typed IR."""

from datetime import date, time

from ecw_pipeline.sql_on_fhir import syntax
from ecw_pipeline.sql_on_fhir.ir import Empty, Node, Value
from ecw_pipeline.sql_on_fhir.problems import PathError

_LARGEST_INTEGER = 2**31 - 1


def written(expression: syntax.Expression) -> Node:
    """A literal; ``{}`` is empty."""
    match expression:
        case syntax.Text(value=value):
            return Value(value, "string")
        case syntax.Truth(value=truth):
            return Value(truth, "boolean")
        case syntax.Number(digits=digits):
            return _number(digits)
        case syntax.Moment():
            return _moment(expression)
    return Empty()


def _number(digits: str) -> Node:
    # int() of millions of digits would take long.
    is_integer = "." not in digits and int(digits[:20]) <= _LARGEST_INTEGER
    return Value(int(digits), "integer") if is_integer else Value(digits, "decimal")


def _moment(moment: syntax.Moment) -> Node:
    text = moment.text
    day, _, clock = text.partition("T")
    if clock and not day and clock.count(":") < 2:
        raise PathError("write the time to the second: @T12:00:00", moment.at)
    if not exists(day, clock):
        raise PathError("there is no such date or time", moment.at)
    if not day:
        return Value(clock, "time")
    return Value(text.rstrip("T"), "dateTime" if "T" in text else "date")


def exists(day: str, clock: str) -> bool:
    """Whether the calendar has such a day, of any precision, and the clock such a time."""
    try:
        if day:
            date.fromisoformat((day + "-01-01")[: len("2024-01-31")])
        if clock:
            time.fromisoformat(clock)
    except ValueError:
        return False
    return True
