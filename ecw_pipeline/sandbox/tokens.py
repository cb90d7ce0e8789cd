"""The token endpoint: who the client is, and what it may read.

Source: RFC 6749 (client credentials), RFC 7523, SMART App Launch 2.2 "Backend Services".
"""

import base64
import binascii
import hmac
import json
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.files import machine_errors
from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.outcomes import RefusalError, TokenRefusalError
from ecw_pipeline.sandbox.searching import EVERYTHING, Narrowing

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ["RS384", "ES384"]
LONGEST_ASSERTION_SECONDS = 300
SCOPE_SUFFIXES = ("read", "rs", "r")


@dataclass(frozen=True)
class Grant:
    """What a token stands for.

    Args:
        sign_in: the sign-in it comes from; none is the client's own.
        patient_id: the patient that was chosen at sign-in.
    """

    ordinal: int
    client_id: str
    scopes: tuple[str, ...]
    expires_at: float
    sign_in: str = ""
    patient_id: str = ""

    def covers(self, resource_type: str, context: str = "system") -> bool:
        """Whether one of the scopes allows reading this type."""
        names = (resource_type, "*")
        return any(f"{context}/{n}.{s}" in self.scopes for n in names for s in SCOPE_SUFFIXES)

    def sight(self, resource_type: str) -> Narrowing:
        """Which resources of this type may be read: everybody's, or the chosen patient's.

        Raises:
            RefusalError: 403, none.
        """
        if self.covers(resource_type) or self.covers(resource_type, "user"):
            return EVERYTHING
        if self.patient_id and self.covers(resource_type, "patient"):
            return Narrowing(patient_ids=(self.patient_id,))
        raise RefusalError(403, "forbidden", f"no scope for {resource_type}")


def read_key_set(path: Path) -> dict[str, Any]:
    """The JWK Set of a file.

    Raises:
        ConfigurationError: the file has none.
        MachineError: the file cannot be read.
    """
    with machine_errors(path):
        content = path.read_bytes()
    try:
        document = json.loads(content)
        KeySet.import_key_set(document)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"{path} is no JWK Set: {type(error).__name__}"
        raise ConfigurationError(message, "write it with: ecw keys jwks KEY") from error
    return cast("dict[str, Any]", document)


class TokenDesk:
    """Gives tokens and recognises them."""

    def __init__(
        self, config: SandboxConfig, resource_types: tuple[str, ...], clock: Clock
    ) -> None:
        self._config, self._clock = config, clock
        self._keys = KeySet.import_key_set(config.jwks) if config.jwks else None  # type: ignore[arg-type]
        self._grants: dict[str, Grant] = {}
        self._seen_jti: dict[str, float] = {}
        self._lock = threading.Lock()
        # Group may be asked for also where no Group is served: its exports need the scope. A
        # Binary is read, not exported.
        types = dict.fromkeys(("*", "Binary", "Group", *resource_types))
        self.scopes_supported = scopes_of("system", types)

    def issue(
        self, form: Mapping[str, str], authorization: str | None, token_url: str
    ) -> dict[str, Any]:
        """Answer a token request.

        Raises:
            TokenRefusalError: with the OAuth error code the client must see.
        """
        if form.get("grant_type") != "client_credentials":
            raise TokenRefusalError("unsupported_grant_type", "only client_credentials is known")
        client_id = self.authenticate(form, authorization, token_url)
        if client_id == self._config.app_client_id:
            raise TokenRefusalError("unauthorized_client", "this client has no secret: sign in")
        return self.give(client_id, self._grantable(form.get("scope", "")))

    def give(
        self, client_id: str, scopes: Sequence[str], sign_in: str = "", patient_id: str = ""
    ) -> dict[str, Any]:
        """A new access token, as a reply tells of it."""
        token = secrets.token_urlsafe(32)
        expires_at = self._clock.now().timestamp() + self._config.token_seconds
        with self._lock:
            ordinal = len(self._grants) + 1
            grant = Grant(ordinal, client_id, tuple(scopes), expires_at, sign_in, patient_id)
            self._grants[token] = grant
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._config.token_seconds,
            "scope": " ".join(scopes),
        }

    def authenticate(
        self, form: Mapping[str, str], authorization: str | None, token_url: str
    ) -> str:
        """Who asks: the client by its secret or key, or the app, which has neither.

        Raises:
            TokenRefusalError: it is nobody we know.
        """
        if form.get("client_assertion_type") == ASSERTION_TYPE:
            return self._by_assertion(form.get("client_assertion", ""), token_url)
        if authorization:
            return self._by_secret(*_basic(authorization))
        if form.get("client_id") == self._config.app_client_id:
            return self._config.app_client_id
        return self._by_secret(form.get("client_id", ""), form.get("client_secret", ""))

    def grant_of(self, authorization: str | None) -> Grant | None:
        """The grant behind an Authorization header, expired or not."""
        scheme, _, token = (authorization or "").partition(" ")
        return self._grants.get(token.strip()) if scheme.lower() == "bearer" else None

    def require(self, authorization: str | None) -> Grant:
        """The valid grant behind an Authorization header.

        Raises:
            RefusalError: 401, with a ``WWW-Authenticate`` header.
        """
        grant = self.grant_of(authorization)
        if grant is None:
            raise _unauthorized("a bearer token is required" if not authorization else "bad token")
        if self._clock.now().timestamp() >= grant.expires_at:
            raise _unauthorized("the token has expired")
        return grant

    def shorten(self, token: str, seconds: float) -> None:
        """Let a token expire so many seconds from now."""
        expires_at = self._clock.now().timestamp() + seconds
        with self._lock:
            self._grants[token] = replace(self._grants[token], expires_at=expires_at)

    def forget(self, authorization: str | None) -> None:
        """Know the token behind an Authorization header no longer."""
        with self._lock:
            self._grants.pop((authorization or "").partition(" ")[2].strip(), None)

    def forget_sign_in(self, sign_in: str) -> None:
        """Know the tokens of a sign-in no longer."""
        with self._lock:
            kept = {t: grant for t, grant in self._grants.items() if grant.sign_in != sign_in}
            self._grants = kept

    def _grantable(self, asked: str) -> list[str]:
        scopes = list(dict.fromkeys(asked.split()))
        unknown = [scope for scope in scopes if scope not in self.scopes_supported]
        if unknown:
            raise TokenRefusalError("invalid_scope", f"unknown scope: {' '.join(unknown)}")
        if not scopes:
            raise TokenRefusalError("invalid_scope", "ask for at least one scope")
        return scopes

    def _by_secret(self, client_id: str, secret: str) -> str:
        right_id = hmac.compare_digest(client_id.encode(), self._config.client_id.encode())
        right_secret = hmac.compare_digest(secret.encode(), self._config.client_secret.encode())
        if not (right_id and right_secret):
            raise TokenRefusalError("invalid_client", "unknown client or wrong secret")
        return client_id

    def _by_assertion(self, assertion: str, token_url: str) -> str:
        if self._keys is None:
            raise TokenRefusalError("invalid_client", "this sandbox was given no public keys")
        try:
            token = jwt.decode(assertion, self._keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError, KeyError) as error:
            raise TokenRefusalError("invalid_client", f"bad assertion: {error}") from error
        if "kid" not in token.header:
            raise TokenRefusalError("invalid_client", "the assertion's header has no kid")
        self._check_claims(token.claims, token_url)
        return self._config.client_id

    def _check_claims(self, claims: Mapping[str, Any], token_url: str) -> None:
        now = self._clock.now().timestamp()
        expiry, jti = claims.get("exp"), claims.get("jti")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        until = float(expiry) if isinstance(expiry, int | float) else 0.0
        problems = {
            "iss and sub must both be the client id": not (
                claims.get("iss") == claims.get("sub") == self._config.client_id
            ),
            f"aud must be {token_url}": token_url not in audiences,
            "exp is missing or past": until <= now,
            "exp is more than five minutes away": until > now + LONGEST_ASSERTION_SECONDS + 5,
            "jti is missing": not isinstance(jti, str) or not jti,
        }
        wrong = [text for text, is_wrong in problems.items() if is_wrong]
        if wrong:
            raise TokenRefusalError("invalid_client", "bad assertion: " + "; ".join(wrong))
        self._use_once(str(jti), until, now)

    def _use_once(self, jti: str, expiry: float, now: float) -> None:
        with self._lock:
            self._seen_jti = {k: v for k, v in self._seen_jti.items() if v > now}
            if jti in self._seen_jti:
                raise TokenRefusalError("invalid_client", "bad assertion: jti was used before")
            self._seen_jti[jti] = expiry


def scopes_of(context: str, resource_types: Iterable[str]) -> list[str]:
    """Every scope to read these types, in every spelling."""
    return [f"{context}/{name}.{suffix}" for name in resource_types for suffix in SCOPE_SUFFIXES]


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as error:
        raise TokenRefusalError("invalid_client", "bad Authorization header") from error
    # RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
    return unquote(client_id), unquote(secret)


def _unauthorized(text: str) -> RefusalError:
    headers = {"WWW-Authenticate": f'Bearer realm="sandbox", error_description="{text}"'}
    return RefusalError(401, "login", text, headers)
