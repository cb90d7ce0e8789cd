"""An authorized, metered HTTP session with one connection's server."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import ProtocolError
from ecw_pipeline.fhir_client.auth import BearerAuth, TokenOnDemand, TokenSource
from ecw_pipeline.fhir_client.budget import Budget
from ecw_pipeline.fhir_client.cookies import kept_cookies
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.fhir_client.scopes import allows
from ecw_pipeline.fhir_client.tracing import Traced
from ecw_pipeline.fhir_client.transport import (
    HttpsOnly,
    Metered,
    Retrying,
    json_object,
    network_errors,
    require_not_busy,
)
from ecw_pipeline.fhir_client.user_tokens import UserTokens
from ecw_pipeline.layout import DataFolder

FHIR_JSON = "application/fhir+json"
USER_AGENT = "ecw-pipeline/0.1"
TIMEOUT = httpx.Timeout(60.0, connect=15.0)


@dataclass(frozen=True)
class Session:
    """What talking to one server needs."""

    connection: Connection
    http: httpx.Client
    auth: httpx.Auth
    clock: Clock
    tokens: TokenSource | None = None

    @property
    def own_hosts(self) -> dict[str, frozenset[str]]:
        """Marks a request whose address the server chose: see `HttpsOnly`."""
        own = httpx.URL(self.connection.base_url).netloc.decode()
        return {"ecw_hosts": frozenset({own, *self.connection.file_hosts})}

    def is_own(self, url: str) -> bool:
        """Whether an address is of the server's own origin."""
        own, named = httpx.URL(self.connection.base_url), httpx.URL(url)
        return (own.scheme, own.netloc) == (named.scheme, named.netloc)

    def auth_for(self, url: str) -> httpx.Auth:
        """How a request to an address that the server chose is authorized."""
        return self.auth if self.is_own(url) else TokenOnDemand(self.auth)

    def may_read(self, resource_type: str) -> bool:
        """Whether the granted scopes let us read a type.

        Raises:
            EcwError: there is no token to be had.
        """
        return self.tokens is None or allows(self.tokens.current().scope, resource_type)

    def get_json(self, url: str) -> dict[str, Any]:
        """Read one FHIR JSON document.

        Raises:
            TemporaryError: the server cannot be reached now, or has no time.
            ProtocolError: the server refused, or answered something else.
        """
        with network_errors(url):
            reply = self.http.get(url, headers={"Accept": FHIR_JSON}, auth=self.auth)
        require_not_busy(reply)
        document = json_object(reply)
        if reply.status_code != httpx.codes.OK or not document:
            raise ProtocolError(
                f"{httpx.URL(url).path} answered {reply.status_code} without FHIR JSON",
                "check ECLINICALWORKS_FHIR_ENDPOINT, or ask the provider's support",
            )
        return document


@contextmanager
def open_session(
    connection: Connection,
    folder: DataFolder,
    clock: Clock,
    network: httpx.BaseTransport | None = None,
    *,
    as_user: bool = False,
) -> Iterator[Session]:
    """Open a session; every request in it pays the connection's budget.

    Args:
        as_user: let whoever signed in (`ecw login`) ask, where somebody did, and not the client.
    """
    budget = Budget(folder.budget(connection.connection_id), connection.windows, clock)
    wire = network or httpx.HTTPTransport(_trusted(), http2=False)
    transport = HttpsOnly(Retrying(Metered(Traced(wire), budget, clock), clock))
    headers = {"User-Agent": USER_AGENT}
    with (
        kept_cookies(folder.cookies(connection.connection_id)) as cookies,
        httpx.Client(transport=transport, timeout=TIMEOUT, headers=headers) as http,
    ):
        http.cookies.jar = cookies.jar  # given to the constructor, they would be copied
        signed_in = folder.sign_in(connection.connection_id)
        if as_user and signed_in.exists():
            tokens: TokenSource = UserTokens(connection, http, signed_in, clock)
        elif connection.auth_kind == "none":
            yield Session(connection, http, httpx.Auth(), clock)
            return
        else:
            tokens = TokenSource(connection, http, folder.token(connection.connection_id), clock)
        yield Session(connection, http, BearerAuth(tokens), clock, tokens)


@cache
def _trusted() -> ssl.SSLContext:
    """Whom we trust; reading the certificates costs more than a request."""
    return httpx.create_ssl_context()
