"""Instants are read in any offset and written in UTC."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecw_pipeline.errors import BadDataError
from ecw_pipeline.fhir.instants import format_instant, parse_instant

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
INSTANTS = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=OFFSETS)


@given(INSTANTS)
def test_an_instant_comes_back_as_it_was_written(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(INSTANTS)
def test_an_instant_is_read_as_utc(instant: datetime) -> None:
    assert parse_instant(instant.isoformat(timespec="microseconds")).tzinfo is UTC


@given(INSTANTS)
def test_the_offset_does_not_change_the_moment(instant: datetime) -> None:
    assert parse_instant(instant.isoformat(timespec="microseconds")) == instant


@given(st.text())
def test_any_text_is_an_instant_or_bad_data(text: str) -> None:
    with suppress(BadDataError):
        assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2024, 1, 31, 12, tzinfo=UTC), "2024-01-31T12:00:00Z"),
        (datetime(2024, 1, 31, 12, 30, 10, tzinfo=UTC), "2024-01-31T12:30:10Z"),
        (datetime(2024, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC), "2024-01-31T12:00:00.25Z"),
        (datetime(2024, 1, 31, 12, 0, 0, 1, tzinfo=UTC), "2024-01-31T12:00:00.000001Z"),
    ],
)
def test_an_instant_is_written_without_needless_zeros(instant: datetime, text: str) -> None:
    assert format_instant(instant) == text


def test_digits_beyond_microseconds_are_dropped() -> None:
    assert parse_instant("2024-01-31T12:00:00.123456789Z").microsecond == 123_456


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-31",
        "2024-01-31T12:00:00",
        "2024-01-31 12:00:00Z",
        "2024-02-30T12:00:00Z",
        "2024-01-31T25:00:00Z",
        "2024-01-31T12:00:00+99:00",
        "2024-01-31T12:00:00Z\n",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_no_instant_is_bad_data(text: str) -> None:
    with pytest.raises(BadDataError):
        parse_instant(text)
