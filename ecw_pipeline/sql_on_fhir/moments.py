"""Dates and dateTimes of any precision, compared by FHIRPath's rules, in SQL.

A moment is held as FHIR's own text. Its text covers an interval: ``2010-03`` all of March. Two
moments compare when their intervals do not overlap, or are the same; otherwise the answer is
empty. Times without an offset are taken as UTC.

Source: FHIRPath 2.0, "Equals" and "Comparison", date and time precision.
"""

_LAST_INSTANT = "23:59:59.999999"


def low(text: str) -> str:
    """The first instant a moment covers, as a UTC TIMESTAMP."""
    return (
        f"TRY_CAST(CASE length({text}) WHEN 4 THEN {text} || '-01-01' "
        f"WHEN 7 THEN {text} || '-01' ELSE {text} END AS TIMESTAMP)"
    )


def high(text: str) -> str:
    """The last instant a moment covers, as a UTC TIMESTAMP."""
    return (
        f"CASE length({text}) WHEN 4 THEN TRY_CAST({text} || '-12-31 {_LAST_INSTANT}' AS TIMESTAMP)"
        f" WHEN 7 THEN TRY_CAST({text} || '-01' AS TIMESTAMP) + INTERVAL 1 MONTH"
        f" - INTERVAL 1 MICROSECOND"
        f" WHEN 10 THEN TRY_CAST({text} || ' {_LAST_INSTANT}' AS TIMESTAMP)"
        f" ELSE TRY_CAST({text} AS TIMESTAMP) END"
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


def to_date(text: str) -> str:
    """The date part of a text that begins with a date; empty when it does not."""
    day = f"regexp_extract({text}, '^\\d{{4}}(-\\d{{2}}(-\\d{{2}})?)?')"
    return f"CASE WHEN {low(text)} IS NOT NULL THEN {day} END"


def to_date_time(text: str) -> str:
    shape = (
        "'\\d{4}(-\\d{2}(-\\d{2}(T\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?(Z|[+-]\\d{2}:\\d{2})?)?)?)?'"
    )
    return (
        f"CASE WHEN regexp_full_match({text}, {shape}) AND {low(text)} IS NOT NULL THEN {text} END"
    )


def to_time(text: str) -> str:
    return f"CASE WHEN TRY_CAST({text} AS TIME) IS NOT NULL THEN {text} END"


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
