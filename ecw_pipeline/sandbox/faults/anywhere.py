"""Faults of any endpoint: refusals, rate limits, gateways and connections."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime

from starlette.responses import HTMLResponse, Response

from ecw_pipeline.sandbox.config import BASE_PATH, Window
from ecw_pipeline.sandbox.faults.deliveries import BrokenOff
from ecw_pipeline.sandbox.faults.exchange import Exchange
from ecw_pipeline.sandbox.faults.fault import REQUESTS, on_reply, on_request
from ecw_pipeline.sandbox.limits import RateLimiter
from ecw_pipeline.sandbox.outcomes import RefusalError, outcome_response


# Gateways that throttle before the FHIR server is reached.
@on_request(*REQUESTS)
def throttled(*, retry_after: str = "", rate_headers: bool = False) -> Response:
    """Answers 429; without Retry-After and X-RateLimit headers unless they are asked for."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    if rate_headers:
        headers |= {"X-RateLimit-Limit": "250", "X-RateLimit-Remaining": "0"}
        headers |= {"X-RateLimit-Reset": retry_after or "30"}
    return outcome_response(RefusalError(429, "throttled", "too many requests", headers))


# eClinicalWorks, live: 250 a minute per practice, tokens included, and no Retry-After.
@on_request(*REQUESTS)
def calendar_minute(exchange: Exchange, *, limit: int = 250) -> Response | None:
    """Allows so many requests in a minute of the wall clock; 429 until the minute ends."""
    window = Window(limit, 60.0, "calendar")
    limiter: RateLimiter = exchange.notes.setdefault(window, RateLimiter((window,), 0.0))
    if limiter.arrive(0.0, exchange.sandbox.clock.now().timestamp()).allowed:
        return None
    return outcome_response(RefusalError(429, "throttled", "too many requests"))


# Most servers but the brief's.
@on_reply(*REQUESTS)
def no_rate_headers(reply: Response) -> None:
    """Leaves X-RateLimit headers and Retry-After out of every reply."""
    for name in ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"):
        del reply.headers[name]


# Load balancers, maintenance windows, restarts.
@on_request(*REQUESTS)
def error_status(*, status: int = 503, code: str = "transient", retry_after: str = "") -> Response:
    """Answers an error status with an OperationOutcome of a code, transient unless said."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return outcome_response(RefusalError(status, code, "try again later", headers))


# Single sign-on gateways, which answer machines as they answer browsers.
@on_request(*REQUESTS)
def html_401(*, status: int = 401) -> Response:
    """Answers 401 with an HTML page instead of JSON."""
    return HTMLResponse("<html><body>Please sign in</body></html>", status)


# Servers for patient apps: every search is of one patient.
@on_request("fhir")
def narrow_searches(exchange: Exchange, *, status: int = 400) -> Response | None:
    """Refuses a search that names no patient."""
    resource_type = exchange.path.rpartition("/")[2]
    is_search = resource_type in exchange.sandbox.source.resource_types
    if not is_search or exchange.parameter("patient") or exchange.parameter("_id"):
        return None
    return outcome_response(RefusalError(status, "too-costly", "name a patient"))


# Servers that answer one request at a time, whatever they say.
@on_request("fhir")
def no_batches(exchange: Exchange, *, status: int = 405) -> Response | None:
    """Refuses several searches in one request."""
    if exchange.path != BASE_PATH:
        return None
    return outcome_response(RefusalError(status, "not-supported", "no batches here"))


RETRY_AFTER: Mapping[str, Callable[[datetime], str]] = {
    "epoch_seconds": lambda now: str(int(now.timestamp()) + 30),
    "epoch_milliseconds": lambda now: str((int(now.timestamp()) + 30) * 1000),
    "http_date": lambda now: format_datetime(now + timedelta(seconds=30), usegmt=True),
    "past_date": lambda now: format_datetime(now - timedelta(days=1), usegmt=True),
    "negative": lambda _: "-5",
    "huge": lambda _: "99999999",
    "fraction": lambda _: "0.25",
    "garbage": lambda _: "soon",
}


# Epoch seconds and milliseconds were seen in the wild; dates are the specification's other form.
@on_reply(*REQUESTS, statuses=(202, 429, 503))
def absurd_retry_after(exchange: Exchange, reply: Response, *, form: str = "epoch_seconds") -> None:
    """Says Retry-After as epoch_seconds, epoch_milliseconds, http_date, past_date, negative,
    huge, fraction, garbage, or as any other text given for form."""
    now = exchange.sandbox.clock.now()
    reply.headers["retry-after"] = RETRY_AFTER[form](now) if form in RETRY_AFTER else form


# Any network. After a kick-off nobody at the client knows whether an export was started.
@on_reply(*REQUESTS)
def lost_reply(reply: Response) -> Response:
    """Does what it is asked, then resets the connection instead of replying."""
    return BrokenOff(reply, 0)


# Servers that restart or rotate keys forget the tokens they gave.
@on_request("kickoff", "status", "delete", "file", "attachment", "fhir", times=1)
def expired_token(exchange: Exchange) -> None:
    """Forgets the token of a request: 401, once, until the client has another."""
    exchange.sandbox.tokens.forget(exchange.headers.get("authorization"))


# What is first is outermost: it has the last word on what the ones after it answer.
FAULTS = (
    lost_reply,
    absurd_retry_after,
    no_rate_headers,
    throttled,
    calendar_minute,
    error_status,
    html_401,
    narrow_searches,
    no_batches,
    expired_token,
)
