"""``lowBoundary()`` and ``highBoundary()`` in SQL: the least and greatest a value may mean.

A decimal's precision is that of its text: 1.0 lies between 0.95 and 1.05.

Source: FHIRPath 3.0-ballot, "lowBoundary" and "highBoundary".
"""

from ecw_pipeline.sql_on_fhir.kinds import DECIMAL_SQL

# The zones in which a local time happens first and last.
_EARLIEST_ZONE = "+14:00"
_LATEST_ZONE = "-12:00"
_OFFSET = "'(Z|[+-]\\d{2}:\\d{2})$'"


def low_number(text: str) -> str:
    return f"(TRY_CAST({text} AS {DECIMAL_SQL}) - {_half_step(text)})"


def high_number(text: str) -> str:
    return f"(TRY_CAST({text} AS {DECIMAL_SQL}) + {_half_step(text)})"


def low_date(text: str) -> str:
    return (
        f"CASE length({text}) WHEN 4 THEN {text} || '-01-01' WHEN 7 THEN {text} || '-01' "
        f"ELSE {text} END"
    )


def high_date(text: str) -> str:
    month_end = f"CAST(last_day(TRY_CAST({text} || '-01' AS DATE)) AS VARCHAR)"
    return (
        f"CASE length({text}) WHEN 4 THEN {text} || '-12-31' WHEN 7 THEN {month_end} "
        f"ELSE {text} END"
    )


def low_date_time(text: str) -> str:
    return _date_time(text, low_date(text), "T00:00:00.000", _EARLIEST_ZONE, "000")


def high_date_time(text: str) -> str:
    return _date_time(text, high_date(text), "T23:59:59.999", _LATEST_ZONE, "999")


def low_time(text: str) -> str:
    return _with_fraction(text, "000")


def high_time(text: str) -> str:
    return _with_fraction(text, "999")


def _half_step(text: str) -> str:
    """Half of the last digit written, exponents counted."""
    decimals = f"length(regexp_extract({text}, '\\.(\\d+)', 1))"
    exponent = f"coalesce(TRY_CAST(regexp_extract({text}, '[eE]([+-]?\\d+)$', 1) AS INTEGER), 0)"
    return f"TRY_CAST(0.5 * pow(10, {exponent} - {decimals}) AS {DECIMAL_SQL})"


def _date_time(text: str, day: str, time: str, zone: str, fraction: str) -> str:
    clock = f"regexp_replace({text}, {_OFFSET}, '')"
    offset = f"coalesce(nullif(regexp_extract({text}, {_OFFSET}), ''), '{zone}')"
    return (
        f"CASE WHEN length({text}) <= 10 THEN ({day}) || '{time}{zone}' "
        f"ELSE ({_with_fraction(clock, fraction)}) || {offset} END"
    )


def _with_fraction(text: str, fraction: str) -> str:
    """Complete the seconds to milliseconds: 12:34:00 → 12:34:00.999."""
    digits = f"regexp_extract({text}, '\\.(\\d+)$', 1)"
    return (
        f"CASE WHEN {digits} = '' THEN {text} || '.{fraction}' "
        f"ELSE {text} || substring('{fraction}', length({digits}) + 1) END"
    )
