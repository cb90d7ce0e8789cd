"""Each request and its reply as one line, for who looks for a fault: no query, no patient's id."""

import logging
import sys
import time
from itertools import pairwise
from urllib.parse import unquote

import httpx

from ecw_pipeline.fhir.structure import is_resource

_LOG = logging.getLogger("ecw_pipeline.requests")


class Traced(httpx.BaseTransport):
    """Tells of what really goes over the wire, repetitions among it."""

    def __init__(self, network: httpx.BaseTransport) -> None:
        self._network = network

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not _LOG.isEnabledFor(logging.DEBUG):
            return self._network.handle_request(request)
        started = time.monotonic()
        try:
            response = self._network.handle_request(request)
        except httpx.TransportError as error:
            _tell(request, type(error).__name__, started)
            raise
        left = response.headers.get("x-ratelimit-remaining")
        _tell(request, f"{response.status_code}{f', {left} left' if left else ''}", started)
        return response

    def close(self) -> None:
        self._network.close()


def trace_requests() -> None:
    """Let every request from now on be told on stderr."""
    if not _LOG.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s eclinicalworks %(message)s"))
        _LOG.addHandler(handler)
    _LOG.setLevel(logging.DEBUG)


def redacted(url: httpx.URL) -> str:
    """A URL without its query, and without the ids of resources: they may name a patient."""
    parts = url.path.split("/")
    for number, (before, part) in enumerate(pairwise(parts), start=1):
        is_id = is_resource(unquote(before)) and before != "Group"
        if is_id and part and part[0] not in "$_":
            parts[number] = "…"
    return f"{url.scheme}://{url.netloc.decode().rpartition('@')[2]}{'/'.join(parts)}"


def _tell(request: httpx.Request, outcome: str, started: float) -> None:
    spent = (time.monotonic() - started) * 1000
    _LOG.debug("%s %s → %s in %.0f ms", request.method, redacted(request.url), outcome, spent)
