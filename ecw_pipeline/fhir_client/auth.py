"""SMART Backend Services: tokens, shared by the processes of a connection.

Tokens of people who sign in are kept alike: `user_tokens.py`.

Source: SMART App Launch 2.2, "Backend Services"; RFC 6749; RFC 7523.
"""

import fcntl
import json
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import httpx

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import ConfigurationError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.discovery import SmartServer, discover
from ecw_pipeline.fhir_client.keys import sign_assertion
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.fhir_client.scopes import candidates
from ecw_pipeline.fhir_client.transport import (
    ATTEMPTS,
    ONCE,
    json_object,
    network_errors,
    repeated,
    require_not_busy,
)
from ecw_pipeline.files import PRIVATE_FILE_MODE, finished_file, machine_errors, private_folder

# A token this close to its end is renewed first: a request must not outlive it on the way. One
# that lives less than twice as long is used for the half of its life.
RENEWAL_MARGIN_SECONDS = 30
# RFC 6749 leaves expires_in optional; SMART's backend tokens live 300 s at most.
DEFAULT_LIFETIME_SECONDS = 300
# How long a set of scopes found by trying is asked for, before what is granted is tried anew.
PROBED_SCOPES_LAST_SECONDS = 86_400
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Token:
    """An access token and when it ends, in seconds since the epoch.

    Args:
        scope: what it is granted for.
        asked: the scopes it was asked for.
        wanted: what of the settings it depends on; a token of other settings is not for us.
        probed_at: when ``asked`` was found by trying each scope; 0 where the server took them all.
        refresh_token: what renews it, where a person signed in.
        patient_id: the patient that person chose.
        lifetime_seconds: how long it is good from when it was given.
    """

    value: str
    expires_at: float
    scope: str
    asked: str = ""
    wanted: str = ""
    probed_at: float = 0.0
    refresh_token: str = ""
    patient_id: str = ""
    lifetime_seconds: float = DEFAULT_LIFETIME_SECONDS


class TokenSource:
    """The current token of a connection; fetched when needed, kept in a 0600 file."""

    def __init__(
        self, connection: Connection, http: httpx.Client, path: Path, clock: Clock
    ) -> None:
        self._connection = connection
        self._http = http
        self._path = path
        self._clock = clock
        parts = (connection.client_id, connection.level, connection.scopes)
        self._wanted = " ".join((*parts, *connection.resource_types))

    def current(self, *, refused: str = "") -> Token:
        """A token that is still good; ``refused`` is one the server no longer takes.

        Raises:
            ConfigurationError: the server does not accept the credentials or scopes.
            TemporaryError: the token endpoint cannot be reached now.
            ProtocolError: its reply is not a token.
        """
        with self._locked():
            known = self._read()
            if known and known.value != refused and self._is_fresh(known):
                return known
            return self._kept(self._fetch(known))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = private_folder(self._path.parent) / f"{self._path.stem}.lock"
        with machine_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _is_fresh(self, token: Token) -> bool:
        is_ours = token.wanted == self._wanted
        margin = min(RENEWAL_MARGIN_SECONDS, token.lifetime_seconds / 2)
        return is_ours and token.expires_at - margin > self._clock.now().timestamp()

    def _read(self) -> Token | None:
        try:
            return Token(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _kept(self, token: Token) -> Token:
        with finished_file(self._path) as stream:
            stream.write(json.dumps(token.__dict__).encode())
        return token

    def _fetch(self, known: Token | None) -> Token:
        server = discover(self._connection, self._http)
        if known and known.wanted == self._wanted and self._is_recent(known.probed_at):
            asked, probed_at = known.asked, known.probed_at
        else:
            asked, probed_at = self._first_choice(server), 0.0
        reply = self._ask(server, asked)
        if says(reply, "invalid_scope") and not self._connection.scopes:
            asked, probed_at = self._probe(server), self._clock.now().timestamp()
            reply = self._ask(server, asked)
        token = self._read_reply(reply)
        scope = token.scope or asked  # RFC 6749, 5.1: left out where it is what was asked
        return replace(token, scope=scope, asked=asked, wanted=self._wanted, probed_at=probed_at)

    def _first_choice(self, server: SmartServer) -> str:
        choices = () if self._connection.scopes else candidates(self._connection, server.scopes)
        return self._connection.scopes or " ".join(spellings[0] for spellings in choices)

    def _probe(self, server: SmartServer) -> str:
        """Try each scope alone; returns those that are granted, one for each type.

        Raises:
            ConfigurationError: none is.
        """
        choices = candidates(self._connection, server.scopes)
        tried = (self._first_granted(server, spellings) for spellings in choices)
        granted = [scope for scope in tried if scope]
        if not granted:
            raise self._no_scope()
        return " ".join(granted)

    def _first_granted(self, server: SmartServer, spellings: tuple[str, ...]) -> str:
        for scope in spellings:
            reply = self._ask(server, scope)
            if not says(reply, "invalid_scope"):
                self._read_reply(reply)  # or an error of another kind
                return scope
        return ""

    def _is_recent(self, at: float) -> bool:
        return self._clock.now().timestamp() - at < PROBED_SCOPES_LAST_SECONDS

    def _ask(self, server: SmartServer, scope: str) -> httpx.Response:
        return self._post(server, {"grant_type": "client_credentials", "scope": scope})

    def _post(self, server: SmartServer, form: Mapping[str, str]) -> httpx.Response:
        """Ask for a token; each attempt with a proof of its own, as servers take one only once."""

        def send() -> httpx.Response:
            proof, headers = self._proof(server.token_endpoint)
            return self._http.post(
                server.token_endpoint, data={**form, **proof}, headers=headers, extensions=ONCE
            )

        with network_errors(server.token_endpoint):
            return repeated(send, self._clock, ATTEMPTS)

    def _proof(self, endpoint: str) -> tuple[dict[str, str], dict[str, str]]:
        """Form fields and headers that prove who we are."""
        connection = self._connection
        headers = {"Accept": "application/json"}
        if connection.auth_kind == "private_key_jwt":
            assertion = sign_assertion(connection, endpoint, self._clock)
            return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}, headers
        if connection.auth_kind == "none":
            return {"client_id": connection.client_id}, headers
        secret = connection.client_secret.get_secret_value() if connection.client_secret else ""
        if connection.auth_kind == "client_secret_post":
            return {"client_id": connection.client_id, "client_secret": secret}, headers
        # RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
        pair = httpx.BasicAuth(quote(connection.client_id, safe=""), quote(secret, safe=""))
        request = next(pair.auth_flow(httpx.Request("POST", endpoint)))
        return {}, headers | {"Authorization": request.headers["Authorization"]}

    def _read_reply(self, reply: httpx.Response) -> Token:
        document = json_object(reply)
        require_not_busy(reply)
        if not reply.is_success:
            raise self._refusal(reply, str(document.get("error", "")))
        value = document.get("access_token")
        if not isinstance(value, str) or not value:
            raise ProtocolError(
                "the token endpoint answered without an access_token",
                "ask the provider's support",
            )
        lifetime = str(document.get("expires_in", "")).removesuffix(".0")
        is_sane = lifetime.isdecimal() and len(lifetime) < 10
        seconds = int(lifetime) if is_sane else DEFAULT_LIFETIME_SECONDS
        return Token(
            value,
            expires_at=self._clock.now().timestamp() + seconds,
            lifetime_seconds=seconds,
            scope=str(document.get("scope") or ""),
            refresh_token=str(document.get("refresh_token") or ""),
            patient_id=str(document.get("patient") or ""),
        )

    def _no_scope(self) -> ConfigurationError:
        name = self._connection.connection_id
        return ConfigurationError(
            f"the server refused the scopes of connection {name!r} (invalid_scope)",
            "set ECW_SCOPES to scopes that are granted to this client, or leave it out"
            if self._connection.scopes
            else "have scopes such as system/Patient.read granted to this client at the provider",
        )

    def _refusal(self, reply: httpx.Response, code: str) -> Exception:
        name = self._connection.connection_id
        if code == "invalid_scope":
            return self._no_scope()
        # Some gateways answer a refused client with 500 and this code.
        if code == "access_denied" or reply.is_client_error:
            return ConfigurationError(
                f"the server refused the credentials of connection {name!r}"
                f" ({reply.status_code} {code or 'no reason given'})",
                "check ECLINICALWORKS_CLIENT_ID and ECLINICALWORKS_CLIENT_SECRET"
                " (or ECW_PRIVATE_KEY_FILE and ECW_KEY_ID)",
            )
        if reply.has_redirect_location:
            return ConfigurationError(
                f"the token endpoint has moved (HTTP {reply.status_code}): nothing was sent there",
                "ask the provider where it is now, and set ECW_TOKEN_URL",
            )
        return TemporaryError(
            f"the token endpoint answered {reply.status_code}", "run again in some minutes"
        )


def says(reply: httpx.Response, code: str) -> bool:
    """Whether a reply refuses with this OAuth error code."""
    return reply.is_error and json_object(reply).get("error") == code


class TokenOnDemand(httpx.Auth):
    """Keeps the token back until it is asked for: signed links are refused where one comes along.

    For hosts that are not the server's own, but named by whoever set the connection up.
    """

    def __init__(self, auth: httpx.Auth) -> None:
        self._auth = auth

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._auth.sync_auth_flow(request)


class BearerAuth(httpx.Auth):
    """Puts the current token on a request, and renews it once when it is refused."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._tokens.current()
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            renewed = self._tokens.current(refused=token.value)
            request.headers["Authorization"] = f"Bearer {renewed.value}"
            yield request
