"""Dates and dateTimes of any precision, compared by FHIRPath's rules, in SQL.

A moment is held as FHIR's own text. Its text covers an interval: ``2010-03`` all of March. Two
moments compare when their intervals do not overlap, or are the same; otherwise the answer is
empty. Times without an offset are taken in the session's zone, which we set to UTC.
(DuckDB's TIMESTAMP would drop the offsets: 10:00+02:00 would not equal 08:00Z.)

Source: FHIRPath 2.0, "Equals" and "Comparison", date and time precision.
"""

import re

_FIRST = "T00:00:00Z"
_LAST = "T23:59:59.999999Z"
_INSTANT = "TIMESTAMP WITH TIME ZONE"
_LITERAL = re.compile(r"^'([0-9T:.Z+-]+)'$")
# Only literals end at the hour or the minute: FHIR's own dateTimes go on to the second.
_TO_HOUR_OR_MINUTE = re.compile(r"(.+T\d\d)(:\d\d)?(Z|[+-]\d\d:\d\d)?")
_YEAR, _MONTH, _DAY = 4, 7, 10
_LEAP_SECOND = ":59:60"


def low(text: str) -> str:
    """The first instant a moment covers."""
    return _by_precision(
        text,
        {
            _YEAR: f"{text} || '-01-01{_FIRST}'",
            _MONTH: f"{text} || '-01{_FIRST}'",
            _DAY: f"{text} || '{_FIRST}'",
        },
        (":00", ":00"),
    )


def high(text: str) -> str:
    """The last instant a moment covers."""
    month_end = f"CAST(last_day(TRY_CAST({text} || '-01' AS DATE)) AS VARCHAR)"
    return _by_precision(
        text,
        {
            _YEAR: f"{text} || '-12-31{_LAST}'",
            _MONTH: f"{month_end} || '{_LAST}'",
            _DAY: f"{text} || '{_LAST}'",
        },
        (":59", ":59.999999"),
    )


def equal(left: str, right: str) -> str:
    return (
        f"CASE WHEN {left} = {right} THEN true WHEN {_disjoint(left, right)} THEN false "
        f"WHEN {_same(left, right)} THEN true END"
    )


def before(left: str, right: str) -> str:
    return _ordered(left, right, "false")


def before_or_at(left: str, right: str) -> str:
    return _ordered(left, right, "true")


def comparable(text: str) -> str:
    """A form in which equal moments are equal in SQL: instants in UTC, dates as they are."""
    instant = f"CAST(TRY_CAST({_instant_text(text)} AS {_INSTANT}) AS VARCHAR)"
    return f"CASE WHEN length({text}) > {_DAY} THEN coalesce({instant}, {text}) ELSE {text} END"


def as_column(text: str, sql_type: str) -> str:
    """A moment's text as DuckDB's own date or timestamp, where there is such a day.

    FHIR knows leap seconds; DuckDB does not: they are taken for the second before. DuckDB knows
    `infinity`, `epoch` and years of more than four digits; FHIR does not, and with such days one
    can hardly compute. DuckDB 1.5 takes a zone that a text names for that
    of the texts without an offset after it; FHIR has no such names.

    Source: FHIR R4, "Data Types", instant and dateTime.
    """
    has_year = f"{text} BETWEEN '0' AND ':' AND strpos({text}, '-') = {_YEAR + 1}"
    second_before = f"replace({text}, '{_LEAP_SECOND}', ':59:59')"
    return (
        f"TRY_CAST(CASE WHEN NOT ({has_year}) OR {_names_zone(text)} THEN NULL"
        f" WHEN contains({text}, '{_LEAP_SECOND}') THEN {second_before} ELSE {text} END"
        f" AS {sql_type})"
    )


def time(text: str) -> str:
    return f"TRY_CAST({text} AS TIME)"


def date_part(text: str) -> str:
    return f"substring({text}, 1, {_DAY})"


def to_date(text: str) -> str:
    """The text itself, if it is a date of any precision."""
    is_date = f"regexp_full_match({text}, '\\d{{4}}(-\\d{{2}}(-\\d{{2}})?)?')"
    return f"CASE WHEN {is_date} AND {low(text)} IS NOT NULL THEN {text} END"


def to_date_time(text: str) -> str:
    shape = (
        "'\\d{4}(-\\d{2}(-\\d{2}(T\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?(Z|[+-]\\d{2}:\\d{2})?)?)?)?'"
    )
    return (
        f"CASE WHEN regexp_full_match({text}, {shape}) AND {low(text)} IS NOT NULL THEN {text} END"
    )


def to_time(text: str) -> str:
    shape = r"'([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?'"
    return f"CASE WHEN regexp_full_match({text}, {shape}) THEN {text} END"


def _by_precision(text: str, completed: dict[int, str], clock: tuple[str, str]) -> str:
    """Complete a text by its length; of a literal the length is known here.

    Args:
        clock: the minute and the second of a literal that has none.
    """
    if known := _LITERAL.match(text):
        literal = _to_the_second(known.group(1), *clock)
        instant = completed.get(len(literal), f"'{literal}'")
        return f"TRY_CAST({instant} AS {_INSTANT})"
    cases = " ".join(f"WHEN {length} THEN {sql}" for length, sql in completed.items())
    return f"TRY_CAST(CASE length({text}) {cases} ELSE {_instant_text(text)} END AS {_INSTANT})"


def _instant_text(text: str) -> str:
    return f"CASE WHEN NOT {_names_zone(text)} THEN {text} END"


def _names_zone(text: str) -> str:
    """Whether something follows the time after a space, as in ``10:00:00 America/New_York``."""
    return f"contains(substring({text}, {_DAY + 2}), ' ')"


def _to_the_second(literal: str, minute: str, second: str) -> str:
    if short := _TO_HOUR_OR_MINUTE.fullmatch(literal):
        up_to_hour, its_minute, offset = short.groups("")
        return f"{up_to_hour}{its_minute or minute}{second}{offset}"
    return literal


def _ordered(left: str, right: str, when_same: str) -> str:
    return (
        f"CASE WHEN {high(left)} < {low(right)} THEN true "
        f"WHEN {low(left)} > {high(right)} THEN false "
        f"WHEN {_same(left, right)} THEN {when_same} END"
    )


def _disjoint(left: str, right: str) -> str:
    return f"{high(left)} < {low(right)} OR {low(left)} > {high(right)}"


def _same(left: str, right: str) -> str:
    return f"{low(left)} = {low(right)} AND {high(left)} = {high(right)}"
