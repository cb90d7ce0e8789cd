"""SMART Backend Services: tokens, shared by the processes of a connection.

Source: SMART App Launch 2.2, "Backend Services"; RFC 6749; RFC 7523.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import ConfigurationError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.fhir_client.transport import (
    network_errors,
    require_not_busy,
    require_safe_url,
)
from ecw_pipeline.files import PRIVATE_FILE_MODE, finished_file, machine_errors, private_folder
from ecw_pipeline.settings import read_secret_file

# A token this close to its end is renewed first: a request must not outlive it on the way.
RENEWAL_MARGIN_SECONDS = 30
# RFC 6749 leaves expires_in optional; SMART's backend tokens live 300 s at most.
DEFAULT_LIFETIME_SECONDS = 300
ASSERTION_LIFETIME_SECONDS = 240
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY_ALGORITHMS = {"RSA": "RS384", "EC": "ES384"}


@dataclass(frozen=True)
class Token:
    """An access token and when it ends, in seconds since the epoch."""

    value: str
    expires_at: float
    scope: str


class TokenSource:
    """The current token of a connection; fetched when needed, kept in a 0600 file."""

    def __init__(
        self, connection: Connection, http: httpx.Client, path: Path, clock: Clock
    ) -> None:
        self._connection = connection
        self._http = http
        self._path = path
        self._clock = clock

    def current(self, *, refused: str = "") -> Token:
        """A token that is still good; ``refused`` is one the server no longer takes.

        Raises:
            ConfigurationError: the server does not accept the credentials or scopes.
            TemporaryError: the token endpoint cannot be reached now.
            ProtocolError: its reply is not a token.
        """
        private_folder(self._path.parent)
        with self._locked():
            known = self._read()
            if known is not None and known.value != refused and self._is_fresh(known):
                return known
            token = self._fetch()
            with finished_file(self._path) as stream:
                stream.write(json.dumps(token.__dict__).encode())
            return token

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self._path.with_suffix(".lock")
        with machine_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _is_fresh(self, token: Token) -> bool:
        return token.expires_at - RENEWAL_MARGIN_SECONDS > self._clock.now().timestamp()

    def _read(self) -> Token | None:
        try:
            return Token(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _fetch(self) -> Token:
        endpoint = token_endpoint(self._connection, self._http)
        form = {"grant_type": "client_credentials", "scope": self._connection.scopes}
        proof, headers = self._proof(endpoint)
        with network_errors(endpoint):
            reply = self._http.post(endpoint, data=form | proof, headers=headers)
        return self._read_reply(reply)

    def _proof(self, endpoint: str) -> tuple[dict[str, str], dict[str, str]]:
        """Form fields and headers that prove who we are."""
        connection = self._connection
        headers = {"Accept": "application/json"}
        if connection.auth_kind == "private_key_jwt":
            assertion = sign_assertion(connection, endpoint, self._clock)
            return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}, headers
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
        if reply.status_code != httpx.codes.OK:
            raise self._refusal(reply, str(document.get("error", "")))
        value = document.get("access_token")
        if not isinstance(value, str) or not value:
            raise ProtocolError(
                "the token endpoint answered 200 without an access_token",
                "ask the provider's support",
            )
        lifetime = str(document.get("expires_in", ""))
        seconds = int(lifetime) if lifetime.isdigit() else DEFAULT_LIFETIME_SECONDS
        expires_at = self._clock.now().timestamp() + seconds
        return Token(value, expires_at, str(document.get("scope", "")))

    def _refusal(self, reply: httpx.Response, code: str) -> Exception:
        name = self._connection.connection_id
        if code == "invalid_scope":
            return ConfigurationError(
                f"the server refused the scopes of connection {name!r} (invalid_scope)",
                "set ECW_SCOPES to scopes that are granted to this client",
            )
        # Some gateways answer a refused client with 500 and this code.
        if code == "access_denied" or reply.is_client_error:
            return ConfigurationError(
                f"the server refused the credentials of connection {name!r}"
                f" ({reply.status_code} {code or 'no reason given'})",
                "check ECLINICALWORKS_CLIENT_ID and ECLINICALWORKS_CLIENT_SECRET"
                " (or ECW_PRIVATE_KEY_FILE and ECW_KEY_ID)",
            )
        return TemporaryError(
            f"the token endpoint answered {reply.status_code}", "run again in some minutes"
        )


def json_object(reply: httpx.Response) -> dict[str, Any]:
    """The reply's JSON object; empty where the body is anything else (HTML, say)."""
    try:
        document = reply.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def token_endpoint(connection: Connection, http: httpx.Client) -> str:
    """Ask the server where tokens are given.

    Raises:
        ConfigurationError: the address is no SMART server.
        ProtocolError: the endpoint is not https.
        TemporaryError: the server is busy.

    Source: SMART App Launch 2.2, "Conformance".
    """
    url = f"{connection.base_url}/.well-known/smart-configuration"
    with network_errors(url):
        reply = http.get(url, headers={"Accept": "application/json"})
    require_not_busy(reply)
    endpoint = json_object(reply).get("token_endpoint")
    if reply.status_code != httpx.codes.OK or not isinstance(endpoint, str):
        raise ConfigurationError(
            f"no SMART configuration at {connection.base_url} (HTTP {reply.status_code})",
            "check ECLINICALWORKS_FHIR_ENDPOINT: the base URL, with the practice code if any",
        )
    require_safe_url(endpoint)
    return endpoint


def sign_assertion(connection: Connection, endpoint: str, clock: Clock) -> str:
    """A signed JWT that proves possession of the private key, good for four minutes.

    Raises:
        ConfigurationError: the key cannot be read or is of an unknown kind.
    """
    key = _private_key(connection.private_key_file)
    now = int(clock.now().timestamp())
    claims = {
        "iss": connection.client_id,
        "sub": connection.client_id,
        "aud": endpoint,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    algorithm = KEY_ALGORITHMS[key.key_type]
    key_id = connection.key_id or key.kid or key.thumbprint()
    header = {"alg": algorithm, "kid": key_id, "typ": "JWT"}
    try:
        return jwt.encode(header, claims, key, algorithms=[algorithm])
    except JoseError as error:  # an EC key of another curve than P-384, say
        raise ConfigurationError(
            f"ECW_PRIVATE_KEY_FILE names {connection.private_key_file},"
            f" whose key cannot sign with {algorithm}",
            "use an RSA key, or an EC key of curve P-384",
        ) from error


def _private_key(path: Path | None) -> jwk.RSAKey | jwk.ECKey:
    if path is None:
        raise ConfigurationError("no private key is set", "set ECW_PRIVATE_KEY_FILE")
    text = read_secret_file(path, "ECW_PRIVATE_KEY_FILE")
    try:
        key = jwk.import_key(json.loads(text)) if text.startswith("{") else _from_pem(text)
    except (ValueError, TypeError, KeyError, JoseError) as error:
        raise ConfigurationError(
            f"ECW_PRIVATE_KEY_FILE names {path}, which is no private key (JWK or PEM)",
            "point it at the key whose public half is registered with the provider",
        ) from error
    if not isinstance(key, jwk.RSAKey | jwk.ECKey) or not key.is_private:
        raise ConfigurationError(
            f"ECW_PRIVATE_KEY_FILE names {path}, which holds no RSA or EC private key",
            "point it at the private half",
        )
    return key


def _from_pem(text: str) -> jwk.RSAKey | jwk.ECKey:
    """PEM of PKCS#8 does not say which kind of key it holds, so both are tried."""
    try:
        return jwk.import_key(text, "RSA")
    except (ValueError, TypeError, JoseError):
        return jwk.import_key(text, "EC")


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
