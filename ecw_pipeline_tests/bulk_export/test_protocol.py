"""A state and a reply give the next state; nothing spins and nothing is overlooked."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecw_pipeline.bulk_export.messages import Manifest, Reply
from ecw_pipeline.bulk_export.protocol import (
    LONGEST_ASKED_SECONDS,
    LONGEST_IDLE_POLL_SECONDS,
    LONGEST_POLL_SECONDS,
    Completed,
    Failed,
    InProgress,
    Lost,
    Refused,
    Requested,
    Unsupported,
    next_state,
)
from ecw_pipeline_tests.builders import MONDAY

ASKED = Requested("https://a.org/r4/$export")
WAITING = InProgress("https://a.org/status/1", "10%", 4.0)


def outcome(*codes: object, diagnostics: str = "") -> dict[str, Any]:
    issues = [{"severity": "error", "code": code, "diagnostics": diagnostics} for code in codes]
    return {"resourceType": "OperationOutcome", "issue": issues}


def test_a_kick_off_that_is_taken_is_in_progress() -> None:
    reply = Reply(202, {"content-location": "https://a.org/status/1"})

    assert next_state(ASKED, reply) == InProgress("https://a.org/status/1", "", 2.0)


def test_a_status_url_may_be_relative() -> None:
    state = next_state(ASKED, Reply(202, {"content-location": "/status/1"}))

    assert isinstance(state, InProgress)
    assert state.status_url == "https://a.org/status/1"


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("header", ["content-location", "location"])
def test_a_kick_off_may_be_taken_in_other_words(status: int, header: str) -> None:
    state = next_state(ASKED, Reply(status, {header: "/status/1"}))

    assert state == InProgress("https://a.org/status/1", "", 2.0)


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("http://a.org/status/1", "https://a.org/status/1"),
        ("http://a.org:80/status/1", "https://a.org/status/1"),
        ("http://a.org:8080/status/1", "http://a.org:8080/status/1"),
        ("http://b.org/status/1", "http://b.org/status/1"),
    ],
)
def test_a_server_behind_a_proxy_is_asked_as_before(location: str, asked: str) -> None:
    state = next_state(ASKED, Reply(202, {"content-location": location}))

    assert state == InProgress(asked, "", 2.0)


@pytest.mark.parametrize("headers", [{}, {"content-location": "http://[bad"}])
def test_a_kick_off_without_a_status_url_has_failed(headers: dict[str, str]) -> None:
    assert isinstance(next_state(ASKED, Reply(202, headers)), Failed)


@pytest.mark.parametrize("status", [429, 503])
def test_a_kick_off_that_comes_too_soon_may_be_asked_again(status: int) -> None:
    reply = Reply(status, document=outcome("throttled"), retry_after_seconds=90)

    assert next_state(ASKED, reply) == Refused(f"HTTP {status} (throttled)", 90)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_a_kick_off_that_is_refused_has_failed_with_the_servers_code(status: int) -> None:
    state = next_state(ASKED, Reply(status, document=outcome("not-supported")))

    assert state == Failed(f"the export was refused: HTTP {status} (not-supported)")


RUNNING = "https://a.org/status/7"


@pytest.mark.parametrize("status", [400, 409, 422, 423, 429])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(0, {"content-location": "/status/7"}),
        Reply(0, {}, outcome("conflict", diagnostics=f"already running, see {RUNNING}.")),
    ],
)
def test_an_export_that_runs_already_is_taken_over(status: int, reply: Reply) -> None:
    assert next_state(ASKED, replace(reply, status_code=status)) == InProgress(RUNNING, "", 2.0)


@pytest.mark.parametrize("text", ["an export is already running", "still in progress"])
def test_an_export_that_runs_somewhere_is_waited_for(text: str) -> None:
    reply = Reply(400, document=outcome("processing", diagnostics=text))

    assert next_state(ASKED, reply) == Refused(
        "an export is running already: HTTP 400 (processing)", 60
    )


@pytest.mark.parametrize(
    ("text", "parameter"), [("_since cannot be read", "_since"), ("no (_type), please", "_type")]
)
def test_a_parameter_the_server_does_not_take_is_left_out(text: str, parameter: str) -> None:
    asked = Requested(ASKED.url, ("_since", "_type"))
    reply = Reply(400, document=outcome("not-supported", diagnostics=text))

    state = next_state(asked, reply)

    assert state == Unsupported(
        parameter, f"the server does not take {parameter}: HTTP 400 (not-supported)"
    )


def test_a_type_the_server_does_not_export_costs_no_other() -> None:
    asked = Requested(ASKED.url, ("_since", "_type"), ("Patient", "Task"))
    reply = Reply(400, document=outcome("not-supported", diagnostics="Task cannot be exported"))

    state = next_state(asked, reply)

    assert isinstance(state, Unsupported)
    assert state.parameter == "_type"


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "no scope for Task"), (400, "TaskList is unknown"), (400, "unknown operation")],
)
def test_what_names_no_type_or_wants_a_grant_has_failed(status: int, text: str) -> None:
    asked = Requested(ASKED.url, ("_type",), ("Patient", "Task"))
    reply = Reply(status, document=outcome("forbidden", diagnostics=text))

    assert isinstance(next_state(asked, reply), Failed)


@pytest.mark.parametrize("text", ["_typeFilter", "my_since", "", "type"])
def test_a_parameter_that_was_not_sent_cannot_be_left_out(text: str) -> None:
    reply = Reply(400, document=outcome("not-supported", diagnostics=text))

    assert isinstance(next_state(Requested(ASKED.url, ("_since", "_type")), reply), Failed)


def test_a_parameter_of_a_status_url_that_begins_like_an_entity_stays_as_it_is() -> None:
    location = "https://a.org/status?a=1&timestamp=2&region=3&section=4"

    state = next_state(ASKED, Reply(202, {"content-location": location}))

    assert isinstance(state, InProgress)
    assert state.status_url == location


def test_a_status_url_that_was_escaped_as_html_is_read() -> None:
    state = next_state(ASKED, Reply(202, {"content-location": "/status?a=1&amp;b=2"}))

    assert isinstance(state, InProgress)
    assert state.status_url == "https://a.org/status?a=1&b=2"


def test_an_export_that_stands_still_is_asked_after_ever_more_rarely() -> None:
    state = WAITING
    for _ in range(20):
        following = next_state(state, Reply(202, {"x-progress": "10%"}, retry_after_seconds=1))
        assert isinstance(following, InProgress)
        state = following

    assert state.wait_seconds == LONGEST_IDLE_POLL_SECONDS


def test_a_manifest_that_cannot_be_used_has_failed_and_says_what_to_do() -> None:
    state = next_state(WAITING, Reply(200, document={"output": []}))

    assert isinstance(state, Failed)
    assert "no usable transactionTime" in state.reason
    assert "→" in state.reason


def test_a_poll_that_says_202_waits_on() -> None:
    reply = Reply(202, {"x-progress": "60%"}, retry_after_seconds=120)

    assert next_state(WAITING, reply) == InProgress(WAITING.status_url, "60%", 120)


def test_without_a_wish_of_the_server_polls_become_rarer() -> None:
    waits, state = [], WAITING
    for _ in range(20):
        following = next_state(state, Reply(202))
        assert isinstance(following, InProgress)
        state = following
        waits.append(state.wait_seconds)

    assert waits == sorted(waits)
    assert waits[0] == 6.0
    assert waits[-1] == LONGEST_POLL_SECONDS


def test_progress_stays_where_the_server_says_nothing_new() -> None:
    state = next_state(WAITING, Reply(202))

    assert isinstance(state, InProgress)
    assert state.progress == "10%"


def test_progress_says_nothing_to_a_terminal() -> None:
    state = next_state(WAITING, Reply(202, {"x-progress": "\x1b[2J50\x9b%\x07 done"}))

    assert isinstance(state, InProgress)
    assert state.progress == "[2J50% done"


def test_progress_of_any_length_is_cut() -> None:
    state = next_state(WAITING, Reply(202, {"x-progress": "x" * 10_000}))

    assert isinstance(state, InProgress)
    assert len(state.progress) == 100


def test_a_poll_that_says_200_is_complete() -> None:
    document = {"transactionTime": "2024-01-01T12:00:00Z", "output": []}

    assert next_state(WAITING, Reply(200, document=document)) == Completed(
        Manifest(MONDAY, True, ()), document
    )


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_poll_that_fails_for_a_passing_reason_waits_on(status: int) -> None:
    reply = Reply(status, retry_after_seconds=30)

    assert next_state(WAITING, reply) == InProgress(WAITING.status_url, "10%", 30)


def test_a_transient_outcome_waits_on() -> None:
    assert isinstance(next_state(WAITING, Reply(500, document=outcome("transient"))), InProgress)


def test_a_server_that_fails_without_a_word_is_waited_for_some_minutes() -> None:
    state, waits = replace(WAITING, wait_seconds=300.0), []
    while isinstance(following := next_state(state, Reply(500)), InProgress):
        state = following
        waits.append(state.wait_seconds)

    assert following == Failed("the export failed at the server: HTTP 500")
    assert waits[0] == 3.0
    assert 120 < sum(waits) < 600


def test_a_document_that_is_no_manifest_is_none_yet() -> None:
    assert isinstance(next_state(WAITING, Reply(200, document={"status": "busy"})), InProgress)


def test_an_outcome_in_place_of_the_manifest_is_the_servers_word_that_it_failed() -> None:
    state = next_state(WAITING, Reply(200, document=outcome("processing")))

    assert state == Failed("the export failed at the server: HTTP 200 (processing)")


@pytest.mark.parametrize("status", [404, 410])
def test_an_export_the_server_forgot_is_lost(status: int) -> None:
    assert next_state(WAITING, Reply(status)) == Lost()


def test_an_export_that_was_just_taken_may_be_unknown_for_half_a_minute() -> None:
    state: Any = InProgress("https://a.org/status/1", "", 2.0)
    waited = 0.0
    while isinstance(state, InProgress):
        waited += state.wait_seconds
        state = next_state(state, Reply(404))

    assert state == Lost()
    assert 20 < waited < 60


def test_an_export_that_was_known_once_is_lost_at_once() -> None:
    unknown = next_state(InProgress("https://a.org/status/1", "", 2.0), Reply(404))
    assert isinstance(unknown, InProgress)
    known = next_state(unknown, Reply(202, {"x-progress": "10%"}))
    assert isinstance(known, InProgress)

    assert next_state(known, Reply(404)) == Lost()


@pytest.mark.parametrize("status", [400, 500, 501])
def test_an_export_that_failed_at_the_server_has_failed(status: int) -> None:
    state = next_state(WAITING, Reply(status, document=outcome("exception")))

    assert state == Failed(f"the export failed at the server: HTTP {status} (exception)")


@pytest.mark.parametrize("code", ["Ann Smith, born 1990", "x" * 41, 5, None, ["exception"], ""])
def test_free_text_of_the_server_is_not_repeated(code: object) -> None:
    document = outcome(code, diagnostics="Ann Smith")
    state = next_state(WAITING, Reply(500, document=document))

    assert state == Failed("the export failed at the server: HTTP 500")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["issue", "code", "output", "url"]), inner, max_size=3)
    ),
    max_leaves=8,
)
REPLIES = st.builds(
    Reply,
    st.integers(100, 599) | st.sampled_from([200, 202, 408, 429, 500, 503]),
    st.dictionaries(
        st.sampled_from(["content-location", "x-progress"]), st.text() | st.just("http://[bad")
    ),
    st.dictionaries(
        st.sampled_from(["transactionTime", "issue", "output", "error"]),
        JSON | st.just("2024-01-01T12:00:00Z") | st.just([{"code": "transient"}]),
    ),
    st.none() | st.floats(0, 1e5),
)
STATES = st.just(ASKED) | st.builds(
    InProgress, st.just("https://a.org/1"), st.text(), st.floats(0, 1e6)
)


@given(STATES, REPLIES)
def test_whoever_waits_waits_a_while_but_not_for_ever(
    state: Requested | InProgress, reply: Reply
) -> None:
    following = next_state(state, reply)
    if isinstance(following, InProgress | Refused):
        is_asked = reply.retry_after_seconds is not None
        longest = LONGEST_ASKED_SECONDS if is_asked else LONGEST_POLL_SECONDS
        assert 0.5 <= following.wait_seconds <= longest


def test_a_server_that_asks_for_ten_minutes_has_them() -> None:
    following = next_state(WAITING, Reply(202, retry_after_seconds=600.0))

    assert following == replace(WAITING, wait_seconds=600.0)


@given(REPLIES)
def test_a_poll_never_forgets_where_to_ask(reply: Reply) -> None:
    if reply.status_code == 200:
        return
    following = next_state(WAITING, reply)

    assert isinstance(following, Failed | Lost) or (
        isinstance(following, InProgress) and following.status_url == WAITING.status_url
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_poll_that_is_not_allowed_waits_for_somebody_to_mend_the_grant(status: int) -> None:
    state = next_state(WAITING, Reply(status))

    assert isinstance(state, InProgress)
    assert str(status) in state.progress


STATUSES = [*range(200, 209), *range(300, 309), *range(400, 452), *range(500, 512)]
CODES = ["transient", "conflict", "not-supported", "throttled", "exception"]
LOCATIONS: list[dict[str, str]] = [{}, {"content-location": "/status/7"}]
DOCUMENTS = [{}, *(outcome(code, diagnostics="_since") for code in CODES)]
WAITS = [None, 0.0, 0.01, 60.0, 300.0]


@pytest.mark.parametrize("state", [Requested(ASKED.url, ("_since",)), WAITING])
def test_every_reply_ends_the_talk_or_asks_for_time(state: Requested | InProgress) -> None:
    """Every status, with every code, address and Retry-After."""
    for status, headers, document, wait in product(STATUSES, LOCATIONS, DOCUMENTS, WAITS):
        following = next_state(state, Reply(status, headers, document, wait))
        match following:
            case InProgress() | Refused():
                assert 0.5 <= following.wait_seconds <= LONGEST_POLL_SECONDS
            case Unsupported():
                assert following.parameter == "_since"
                assert state != WAITING
            case Lost():
                assert (state, status) in {(WAITING, 404), (WAITING, 410)}
            case Completed():
                assert (state, status) == (WAITING, 200)
            case Failed():
                assert following.reason


@given(st.lists(REPLIES, max_size=30))
def test_a_talk_never_goes_on_without_asking_for_time(replies: list[Reply]) -> None:
    """A parameter can be left out only once, so the kick-offs that need no wait come to an end."""
    state: Requested | InProgress = Requested(ASKED.url, ("_since", "_type"))
    at_once = 0
    for reply in replies:
        following = next_state(state, reply)
        match following, state:
            case InProgress(), _:
                state = following
            case Unsupported(), Requested():
                at_once += 1
                kept = tuple(p for p in state.parameters if p != following.parameter)
                state = Requested(state.url, kept)
            case Refused(), Requested():
                assert following.wait_seconds >= 0.5
            case _:
                break
    assert at_once <= 2
