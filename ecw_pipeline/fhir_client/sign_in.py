"""Sign-in by a person: a SMART standalone launch with PKCE, from the address to the tokens.

OpenID Connect is left out: no ``openid`` scope is asked for, and no ``id_token`` read.

Source: SMART App Launch 2.2, "Standalone Launch"; RFC 6749, 4.1; RFC 7636; RFC 8252.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from ecw_pipeline.errors import ConfigurationError, EcwError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.auth import Token
from ecw_pipeline.fhir_client.discovery import SmartServer, discover
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.fhir_client.redirects import Redirects, redirects_to
from ecw_pipeline.fhir_client.scopes import PATIENT, candidates
from ecw_pipeline.fhir_client.session import Session
from ecw_pipeline.fhir_client.transport import require_safe_url
from ecw_pipeline.fhir_client.user_tokens import UserTokens

LONGEST_WAIT_SECONDS = 300.0
# RFC 7636, 4.1: 32 octets, which are 43 characters.
_RANDOM_BYTES = 32


@dataclass(frozen=True)
class SignIn:
    """A sign-in that waits for a person: ``url`` is where the browser must go."""

    url: str
    asked: str
    _state: str
    _verifier: str
    _server: SmartServer
    _tokens: UserTokens
    _redirects: Redirects

    def finish(self, wait_seconds: float = LONGEST_WAIT_SECONDS) -> Token:
        """Wait for the browser, and keep the tokens for what it brings.

        Raises:
            TemporaryError: nobody came, or the server has no time.
            ConfigurationError: the person or the server refused.
            ProtocolError: what came is no answer to what was asked.
        """
        answer = self._redirects.next(wait_seconds)
        if not secrets.compare_digest(answer.get("state", "").encode(), self._state.encode()):
            raise ProtocolError(
                "the browser brought another state than was sent: no answer to this sign-in",
                "nothing was taken from it; run again, and use the address it prints: ecw login",
            )
        if "error" in answer:
            raise _refusal(answer["error"])
        if not answer.get("code"):
            raise ProtocolError("the browser brought no code", "ask the provider's support")
        return self._tokens.exchange(self._server, answer["code"], self._verifier, self.asked)


@contextmanager
def sign_in(session: Session, path: Path) -> Iterator[SignIn]:
    """Begin a sign-in whose tokens are kept at ``path``; the redirect URI listens meanwhile.

    Raises:
        ConfigurationError: a setting is missing, or the server lets nobody sign in.
        MachineError: the port of the redirect URI is in use.
        TemporaryError: the server cannot be reached now.
    """
    connection = session.connection
    server = discover(connection, session.http)
    _require(connection, server)
    asked, state, verifier = _scopes(connection, server), _random(), _random()
    parameters = {
        "response_type": "code",
        "client_id": connection.client_id,
        "redirect_uri": connection.redirect_uri,
        "scope": asked,
        "state": state,
        "aud": connection.base_url,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    url = str(httpx.URL(server.authorization_endpoint).copy_merge_params(parameters))
    tokens = UserTokens(connection, session.http, path, session.clock)
    with redirects_to(connection.redirect_uri) as redirects:
        yield SignIn(url, asked, state, verifier, server, tokens, redirects)


def challenge_of(verifier: str) -> str:
    """The challenge that announces a verifier. Source: RFC 7636, 4.2, S256."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _random() -> str:
    return secrets.token_urlsafe(_RANDOM_BYTES)


def _require(connection: Connection, server: SmartServer) -> None:
    if not connection.client_id:
        raise ConfigurationError(
            "ECLINICALWORKS_CLIENT_ID is not set", "set it to the id registered with the provider"
        )
    if not server.authorization_endpoint:
        raise ConfigurationError(
            "the server names no authorization_endpoint: nobody can sign in there",
            "leave ECW_TOKEN_URL out, if it is set, so that the server is asked; else ask the"
            " provider's support",
        )
    require_safe_url(server.authorization_endpoint)


def _scopes(connection: Connection, server: SmartServer) -> str:
    if connection.login_scopes:
        return connection.login_scopes
    readable = (spellings[0] for spellings in candidates(connection, server.scopes, PATIENT))
    return " ".join(("launch/patient", "offline_access", *readable))


def _refusal(error: str) -> EcwError:
    """What the server's error means. Source: RFC 6749, 4.1.2.1."""
    if error == "access_denied":
        return ConfigurationError(
            "the sign-in was not approved (access_denied)",
            "run again and approve, or ask the provider who may: ecw login",
        )
    if error == "invalid_scope":
        return ConfigurationError(
            "the server refuses the scopes of the sign-in (invalid_scope)",
            "set ECW_LOGIN_SCOPES to scopes that this client is registered for",
        )
    if error in ("server_error", "temporarily_unavailable"):
        return TemporaryError(
            f"the server could not finish the sign-in ({error})",
            "run again in some minutes: ecw login",
        )
    return ProtocolError(
        f"the server refuses the sign-in ({error if error.isidentifier() else 'unknown error'})",
        "compare the client's registration with the settings, or ask the provider's support",
    )
