"""Requests wait, repeat and stop as they should, against a server that really answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.budget import Budget
from ecw_pipeline.fhir_client.providers import BRIEF_WINDOWS, LIVE_WINDOWS, Window
from ecw_pipeline.fhir_client.rate_headers import LONGEST_WAIT_SECONDS, retry_after_seconds
from ecw_pipeline.fhir_client.transport import (
    ONCE,
    HttpsOnly,
    Metered,
    Retrying,
    network_errors,
    require_not_busy,
    require_safe_url,
)
from ecw_pipeline_tests.builders import MONDAY, monday_clock
from ecw_pipeline_tests.odd_server import OddServer, endless, odd_server, raw


@pytest.fixture(scope="module")
def server() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


@contextmanager
def patient_client(clock: ManualClock) -> Iterator[httpx.Client]:
    with httpx.Client(transport=Retrying(httpx.HTTPTransport(), clock)) as http:
        yield http


def closed_port_url() -> str:
    with odd_server() as gone:
        return gone.url


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("2.5", 2.5),
        (" 7 ", 7.0),
        ("-5", 0.0),
        ("3600", 300.0),
        ("nan", 0.0),
        ("inf", 300.0),
        ("Mon, 01 Jan 2024 12:00:30 GMT", 30.0),
        ("Mon, 01 Jan 2024 11:59:00 GMT", 0.0),
        ("Mon, 01 Jan 2024 13:00:30 +0100", 30.0),
        (str(MONDAY.timestamp() + 30), 30.0),
        (str(int(MONDAY.timestamp() * 1000) + 30_000), 30.0),
        ("", None),
        ("soon", None),
        ("Mon, 99 Jan 2024 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_a_wait(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(httpx.Headers({"Retry-After": text}), MONDAY) == seconds


def test_no_retry_after_is_no_wait() -> None:
    assert retry_after_seconds(httpx.Headers(), MONDAY) is None


WORDS = st.sampled_from(["Mon,", "01", "Jan", "99999", "12:00:30", "GMT", "+9999", "1e400", "0x1"])


@given(
    st.text(st.characters(codec="latin-1")) | st.lists(WORDS).map(" ".join) | st.floats().map(str)
)
def test_any_retry_after_is_none_or_a_bounded_wait(text: str) -> None:
    headers = httpx.Headers([(b"retry-after", text.encode("latin-1", "replace"))])
    wait = retry_after_seconds(headers, MONDAY)

    assert wait is None or 0 <= wait <= LONGEST_WAIT_SECONDS


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_asked_again(server: OddServer, status: int) -> None:
    url = server.answers("/a", raw(status), raw(status), raw(200, b"here"))
    with patient_client(monday_clock()) as http:
        assert http.get(url).content == b"here"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 500])
def test_what_does_not_pass_is_not_asked_again(server: OddServer, status: int) -> None:
    url = server.answers("/a", raw(status), raw(200))
    with patient_client(monday_clock()) as http:
        assert http.get(url).status_code == status


def test_waits_double_and_are_up_to_a_quarter_longer(server: OddServer) -> None:
    clock = monday_clock()
    url = server.answers("/a", raw(503))
    with patient_client(clock) as http:
        assert http.get(url).status_code == 503

    for slept, least in zip(clock.slept_seconds, [1, 2, 4, 8], strict=True):
        assert least <= slept <= least * 1.25


def test_the_wait_the_server_asks_for_is_kept(server: OddServer) -> None:
    clock = monday_clock()
    date = f"{MONDAY + timedelta(seconds=27):%a, %d %b %Y %H:%M:%S GMT}"
    url = server.answers("/a", raw(429, retry_after="7"), raw(503, retry_after=date), raw(200))
    with patient_client(clock) as http:
        http.get(url)

    assert clock.slept_seconds == [7.0, 20.0]


@pytest.mark.parametrize("text", ["0", "0.2", "-5"])
def test_a_server_that_is_busy_and_asks_for_no_wait_is_given_one(
    server: OddServer, text: str
) -> None:
    clock = monday_clock()
    url = server.answers("/a", *[raw(429, retry_after=text)] * 3, raw(200))
    with patient_client(clock) as client:
        client.get(url)

    assert [int(seconds) for seconds in clock.slept_seconds] == [1, 2, 4]


def test_a_request_that_must_go_out_once_does(server: OddServer) -> None:
    url = server.answers("/once", raw(503), raw(200))
    with patient_client(monday_clock()) as http:
        assert http.get(url, extensions=ONCE).status_code == 503


def test_a_refused_connection_is_tried_three_times() -> None:
    clock = monday_clock()
    with patient_client(clock) as http, pytest.raises(httpx.ConnectError):
        http.get(closed_port_url())

    assert len(clock.slept_seconds) == 2


def test_each_attempt_pays_the_budget(server: OddServer, tmp_path: Path) -> None:
    clock = monday_clock()
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, clock)
    url = server.answers("/a", raw(503), raw(503), raw(200))
    metered = Metered(httpx.HTTPTransport(), budget, clock)
    with httpx.Client(transport=Retrying(metered, clock)) as http:
        http.get(url)

    assert len(budget.usage().recent_grants) == 3


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [(raw(429, retry_after="40"), 40), (raw(429), 1), (raw(429, retry_after="0"), 1)],
)
def test_a_429_stops_every_process_of_the_connection(
    server: OddServer, tmp_path: Path, reply: bytes, seconds: int
) -> None:
    clock = monday_clock()
    budget = Budget(tmp_path / "b.json", BRIEF_WINDOWS, clock)
    url = server.answers("/a", reply)
    with httpx.Client(transport=Metered(httpx.HTTPTransport(), budget, clock)) as http:
        http.get(url)
    Budget(tmp_path / "b.json", BRIEF_WINDOWS, clock).acquire()

    assert clock.now() - MONDAY == timedelta(seconds=seconds)


def pause_after(url: str, tmp_path: Path, windows: tuple[Window, ...] = BRIEF_WINDOWS) -> float:
    """How long everybody is silent after one reply, in seconds."""
    clock = monday_clock()
    budget = Budget(tmp_path / "b.json", windows, clock)
    with httpx.Client(transport=Metered(httpx.HTTPTransport(), budget, clock)) as http:
        http.get(url)
    return max(budget.usage().paused_until - clock.now().timestamp(), 0.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Limit": "90", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "20"}, 20),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "20"}, 20),
        ({"RateLimit": '"default";r=0;t=20'}, 20),
        ({"RateLimit": "limit=90, remaining=0, reset=20"}, 20),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1704110420"}, 20),
        ({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "20"}, 0),
        ({"X-RateLimit-Remaining": "0"}, 0),
        ({"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "soon"}, 0),
    ],
)
def test_a_limit_that_is_used_up_stops_everybody_until_it_is_reset(
    server: OddServer, tmp_path: Path, headers: dict[str, str], seconds: int
) -> None:
    url = server.answers("/a", raw(200, b"", **headers))

    assert pause_after(url, tmp_path) == seconds


def test_a_window_that_we_pace_by_is_not_waited_for_twice(
    server: OddServer, tmp_path: Path
) -> None:
    told = {"X-RateLimit-Limit": "7", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}
    url = server.answers("/a", raw(200, b"", **told))

    assert pause_after(url, tmp_path) == 0


def test_a_429_without_a_word_is_waited_out_to_the_end_of_the_minute(
    server: OddServer, tmp_path: Path
) -> None:
    assert pause_after(server.answers("/a", raw(429)), tmp_path, LIVE_WINDOWS) == 61


@pytest.mark.parametrize(
    "url", ["http://example.org/f", "ftp://example.org/f", "file:///etc/passwd", "", "http://[bad"]
)
def test_an_address_that_is_not_https_is_refused(url: str) -> None:
    with pytest.raises(ProtocolError, match="not https"):
        require_safe_url(url)


@pytest.mark.parametrize("url", ["https://example.org/f", "http://127.0.0.1:5/f"])
def test_https_and_this_machine_are_safe(url: str) -> None:
    require_safe_url(url)


def test_a_redirect_to_plain_http_is_not_followed(server: OddServer) -> None:
    url = server.answers("/a", raw(302, location="http://192.0.2.1/f?token=s3cret"))
    with (
        httpx.Client(transport=HttpsOnly(httpx.HTTPTransport()), follow_redirects=True) as http,
        pytest.raises(ProtocolError) as caught,
    ):
        http.get(url)

    assert "s3cret" not in str(caught.value)


def raised(url: str) -> TemporaryError:
    """How a failure of one request is put into words."""
    with (
        pytest.raises(TemporaryError) as caught,
        network_errors(url),
        httpx.Client(follow_redirects=True, max_redirects=2, timeout=0.2) as http,
    ):
        http.get(url)
    assert caught.value.next_step
    assert "s3cret" not in str(caught.value)
    return caught.value


def test_a_refused_connection_is_said_in_words() -> None:
    words = str(raised(closed_port_url() + "/f?token=s3cret"))

    assert "cannot reach 127.0.0.1: connection refused" in words


def test_a_name_that_does_not_exist_is_said_in_words() -> None:
    assert "cannot reach nowhere.invalid: the name does not resolve" in str(
        raised("http://nowhere.invalid/?token=s3cret")
    )


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        raw(200, b"half", content_length="9"),
        endless(200, b"not gzip", content_encoding="gzip"),
        raw(302, location="/b?token=s3cret"),
        raw(302, location="http://[bad"),
    ],
)
def test_a_broken_reply_is_a_temporary_error(server: OddServer, reply: bytes) -> None:
    assert "127.0.0.1" in str(raised(server.answers("/b", reply) + "?token=s3cret"))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_a_temporary_error(status: int) -> None:
    reply = httpx.Response(status, request=httpx.Request("GET", "https://a.org/f?token=s3cret"))

    with pytest.raises(TemporaryError) as caught:
        require_not_busy(reply)
    assert caught.value.message == f"a.org is busy (HTTP {status})"


def test_a_naive_http_date_is_utc() -> None:
    headers = httpx.Headers({"Retry-After": "Mon, 01 Jan 2024 12:00:10 -0000"})

    assert retry_after_seconds(headers, datetime(2024, 1, 1, 12, tzinfo=UTC)) == 10
