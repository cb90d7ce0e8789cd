"""The rate windows, by the numbers and over HTTP."""

import httpx
import pytest

from ecw_pipeline.sandbox.config import BRIEF_WINDOWS, Window
from ecw_pipeline.sandbox.gate import endpoint_kind
from ecw_pipeline.sandbox.limits import RateLimiter
from ecw_pipeline_tests.sandbox.harness import quick, visiting


def allowed(limiter: RateLimiter, *at: float) -> list[bool]:
    """Which of the arrivals pass."""
    return [limiter.arrive(moment, moment).allowed for moment in at]


def test_seven_in_a_second_pass_and_the_eighth_does_not() -> None:
    limiter = RateLimiter(BRIEF_WINDOWS, 0.05)

    assert allowed(limiter, *[i / 10 for i in range(8)]) == [True] * 7 + [False]


def test_a_request_early_by_less_than_the_tolerance_passes() -> None:
    limiter = RateLimiter((Window(1, 1.0, "rolling"),), 0.05)

    assert allowed(limiter, 0.0, 0.96) == [True, True]
    assert allowed(limiter, 1.9) == [False]


def test_maxima_are_without_tolerance() -> None:
    limiter = RateLimiter((Window(1, 1.0, "rolling"),), 0.05)
    allowed(limiter, 0.0, 0.96, 3.0)

    assert limiter.maxima() == {"1/1s rolling": 2}
    limiter.forget_maxima()
    assert limiter.maxima() == {"1/1s rolling": 0}


def test_a_calendar_window_starts_anew_at_its_boundary() -> None:
    limiter = RateLimiter((Window(2, 60.0, "calendar"),), 0.05)

    assert allowed(limiter, 58.0, 59.0, 59.5, 60.0) == [True, True, False, True]


def test_a_refusal_says_when_there_is_room_again() -> None:
    limiter = RateLimiter((Window(1, 30.0, "rolling"),), 0.0)
    limiter.arrive(0.0, 0.0)
    verdict = limiter.arrive(10.0, 10.0)

    assert verdict.headers["Retry-After"] == "30"  # a refused request counts as well
    assert verdict.headers["X-RateLimit-Remaining"] == "0"


def test_too_many_requests_are_refused_and_counted_at_the_server() -> None:
    with visiting(quick(windows=(Window(5, 60.0, "rolling"),))) as someone:
        replies = [httpx.get(f"{someone.base_url}/metadata") for _ in range(7)]
        stats = someone.stats()

    assert [reply.status_code for reply in replies] == [200] * 5 + [429] * 2
    refused = replies[-1]
    assert refused.json()["issue"][0]["code"] == "throttled"
    assert int(refused.headers["retry-after"]) >= 1
    remaining = [reply.headers["x-ratelimit-remaining"] for reply in replies]
    assert remaining == ["4", "3", "2", "1", "0", "0", "0"]
    assert all(reply.headers["x-ratelimit-limit"] == "5" for reply in replies)
    assert (stats["requests"], stats["refused_429"]) == (7, 2)
    assert stats["maxima"] == {"5/60s rolling": 7}


def test_statistics_tell_clients_apart_without_keeping_tokens() -> None:
    with visiting(quick()) as someone:
        someone.sign_in().get("/Patient/pat-000001", **{"X-Client-Process": "worker-1"})
        manifest = someone.export("", _type="Task")
        someone.lines(manifest)
        stats = someone.stats()
        someone.http.post(f"{someone.server_url}/sandbox/reset-stats")
        empty = someone.stats()

    assert stats["by_kind"]["token"] == stats["by_kind"]["kickoff"] == stats["by_kind"]["file"] == 1
    assert stats["by_process"]["worker-1"] == 1
    assert set(stats["by_token"]) == {"none", "token-1"}
    assert stats["exports"][0]["types"] == ["Task"]
    (file_use,) = stats["files"].values()
    assert file_use["count"] == 1
    assert file_use["bytes"] > 0
    assert (empty["requests"], empty["exports"]) == (0, [])


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/oauth2/token", "token"),
        ("GET", "/fhir/r4/Group/a/$export", "kickoff"),
        ("GET", "/fhir/r4/$export-status/1", "status"),
        ("DELETE", "/fhir/r4/$export-status/1", "delete"),
        ("GET", "/fhir/r4/$export-file/1/x", "file"),
        ("GET", "/fhir/r4/metadata", "fhir"),
    ],
)
def test_requests_are_sorted_by_what_they_are_for(method: str, path: str, kind: str) -> None:
    assert endpoint_kind(method, path) == kind
