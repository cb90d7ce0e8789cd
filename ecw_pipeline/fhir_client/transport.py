"""Politeness as a stack of HTTP transports: each retry pays the budget again.

`HttpsOnly(Retrying(Metered(Traced(network))))`. What a reply means is decided above, in
`bulk_export/protocol.py`.
"""

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.budget import Budget, Lane
from ecw_pipeline.fhir_client.providers import is_loopback
from ecw_pipeline.fhir_client.rate_headers import retry_after_seconds, spent

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
FIRST_BACKOFF_SECONDS = 1.0
ATTEMPTS = 5
# Who cannot be reached at all mostly has a wrong address: the person waiting hears of it soon.
ATTEMPTS_TO_CONNECT = 3
# A request for a file lets those for tokens, kick-offs and polls go first.
FILES_LANE = {"ecw_lane": "files"}
# A request for an attachment lets all others go first.
ATTACHMENTS_LANE = {"ecw_lane": "attachments"}
# A request marked so goes out once: repeating it could do a thing twice.
ONCE = {"ecw_once": True}
# A request marked so is repeated where the connection breaks, and takes any answer.
FIRST_ANSWER = {"ecw_first_answer": True}


class HttpsOnly(httpx.BaseTransport):
    """Lets no request out in plain http, whoever named its address: a manifest, a redirect.

    One that says which hosts it may go to (``ecw_hosts``) goes to no other: a server's own word
    is not enough to send us, or our token, anywhere.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        require_safe_url(str(request.url))
        _require_own_host(request)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


class Metered(httpx.BaseTransport):
    """Asks the budget before each request, and stops everybody when the server says so."""

    def __init__(self, network: httpx.BaseTransport, budget: Budget, clock: Clock) -> None:
        self._network = network
        self._budget = budget
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        lane: Lane = request.extensions.get("ecw_lane", "urgent")
        self._budget.acquire(lane)
        response = self._network.handle_request(request)
        self._heed(response)
        return response

    def _heed(self, response: httpx.Response) -> None:
        now = self._clock.now()
        used_up = spent(response.headers, now)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            wait = retry_after_seconds(response.headers, now)
            if wait is None:
                turn = self._budget.seconds_to_turn() or FIRST_BACKOFF_SECONDS
                wait = used_up.wait_seconds if used_up else turn
            self._budget.pause(max(wait, FIRST_BACKOFF_SECONDS))
        elif used_up and not self._budget.paces(used_up.limit):
            self._budget.pause(used_up.wait_seconds)

    def close(self) -> None:
        self._network.close()


class Retrying(httpx.BaseTransport):
    """Repeats what failed for a passing reason, with exponential backoff and jitter."""

    def __init__(self, inner: httpx.BaseTransport, clock: Clock, attempts: int = ATTEMPTS) -> None:
        self._inner = inner
        self._clock = clock
        self._attempts = attempts

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        attempts = 1 if request.extensions.get("ecw_once") else self._attempts
        takes_any = request.extensions.get("ecw_first_answer")
        retried = frozenset[int]() if takes_any else RETRIED_STATUSES
        return repeated(lambda: self._inner.handle_request(request), self._clock, attempts, retried)

    def close(self) -> None:
        self._inner.close()


def repeated(
    send: Callable[[], httpx.Response],
    clock: Clock,
    attempts: int,
    retried: Collection[int] = RETRIED_STATUSES,
) -> httpx.Response:
    """Send until something is answered that waiting does not mend; at most ``attempts`` times.

    A server that is busy and asks for no wait worth the name is given one.
    """
    for attempt in range(1, attempts):
        try:
            response = send()
        except httpx.TransportError as error:
            if isinstance(error, httpx.ConnectError) and attempt >= ATTEMPTS_TO_CONNECT:
                raise
            clock.sleep(_backoff_seconds(attempt))
            continue
        if response.status_code not in retried:
            return response
        wait = retry_after_seconds(response.headers, clock.now()) or 0.0
        response.close()
        clock.sleep(wait if wait >= FIRST_BACKOFF_SECONDS else _backoff_seconds(attempt))
    return send()


def _backoff_seconds(attempt: int) -> float:
    """1, 2, 4, … seconds, each up to a quarter longer so that processes do not march in step."""
    return FIRST_BACKOFF_SECONDS * float(2 ** (attempt - 1)) * random.uniform(1, 1.25)  # noqa: S311


def require_safe_url(url: str) -> None:
    """Refuse an address from the server that is none, or that would be asked without https.

    Raises:
        ProtocolError: the address is not safe; nothing was sent.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    is_plain = parsed.scheme == "http" and is_loopback(parsed.host)
    if not parsed.host or not (parsed.scheme == "https" or is_plain):
        raise ProtocolError(
            f"the server names an address at {parsed.host or 'no host'} that is not https",
            "nothing was sent there; ask the provider's support",
        )


def _require_own_host(request: httpx.Request) -> None:
    allowed = request.extensions.get("ecw_hosts")
    if allowed is None or {request.url.host, request.url.netloc.decode()} & allowed:
        return
    raise ProtocolError(
        f"the server sends us to {request.url.netloc.decode()}, which is not its own host",
        "nothing was sent there; if it is the provider's, add it to ECW_FILE_HOSTS",
    )


def json_object(reply: httpx.Response) -> dict[str, Any]:
    """The reply's JSON object; empty where the body is anything else (HTML, say)."""
    try:
        document = reply.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def require_not_busy(reply: httpx.Response) -> None:
    """Tell a server that has no time now from one that refuses.

    Raises:
        TemporaryError: it answered 429, 502, 503 or 504, after all attempts.
    """
    if reply.status_code in RETRIED_STATUSES:
        raise TemporaryError(
            f"{reply.url.host} is busy (HTTP {reply.status_code})",
            "run again in some minutes: work continues where it stopped",
        )


@contextmanager
def network_errors(url: str) -> Iterator[None]:
    """Say in words what the network refused, naming the host and never the query."""
    host = httpx.URL(url).host
    try:
        yield
    except httpx.ConnectError as error:
        raise TemporaryError(
            f"cannot reach {host}: {_reason(error)}",
            "check the network and ECLINICALWORKS_FHIR_ENDPOINT, then run again",
        ) from error
    except httpx.TimeoutException as error:
        raise TemporaryError(
            f"{host} did not answer in time", "run again later: work continues where it stopped"
        ) from error
    except httpx.RequestError as error:
        raise TemporaryError(
            f"the connection to {host} broke ({type(error).__name__})",
            "run again: work continues where it stopped",
        ) from error


def _reason(error: httpx.ConnectError) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY" in text:
        return "its TLS certificate is not trusted"
    if "Name or service" in text or "nodename" in text or "name resolution" in text:
        return "the name does not resolve"
    return "connection refused" if "refused" in text else "no connection"
