"""Sign-ins of people: codes for one use, refresh tokens that rotate, revocation.

Source: SMART App Launch 2.2, "Standalone Launch"; RFC 6749, 4.1 and 6; RFC 7636 (PKCE); RFC 7009
(revocation); RFC 8252, 7.3 (loopback redirects); RFC 9700, 4.14 (reuse of a refresh token).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ecw_pipeline.clock import Clock
from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.outcomes import RefusalError, TokenRefusalError
from ecw_pipeline.sandbox.tokens import TokenDesk, scopes_of
from ecw_pipeline.serving import is_loopback

GRANT_TYPES = ("authorization_code", "refresh_token")
LAUNCH_PATIENT, OFFLINE = "launch/patient", "offline_access"


@dataclass(frozen=True)
class LaunchRequest:
    """What a client asks a person to approve."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str

    @property
    def is_about_a_patient(self) -> bool:
        """Whether the person must choose a patient."""
        return any(s == LAUNCH_PATIENT or s.startswith("patient/") for s in self.scopes)


@dataclass
class _SignIn:
    name: str
    request: LaunchRequest
    patient_id: str
    code_until: float
    is_code_used: bool = False
    refresh_token: str = ""
    refresh_until: float = 0.0


class SignInDesk:
    """Takes a person's approval, and gives tokens for it until it is revoked."""

    def __init__(
        self,
        config: SandboxConfig,
        tokens: TokenDesk,
        resource_types: Iterable[str],
        clock: Clock,
    ) -> None:
        self._config, self._tokens, self._clock = config, tokens, clock
        types = ("*", *resource_types)
        readable = [*scopes_of("patient", types), *scopes_of("user", types)]
        self.scopes_supported = [LAUNCH_PATIENT, OFFLINE, *readable]
        self._by_code: dict[str, _SignIn] = {}
        # The refresh tokens of the past too: one that comes again was copied.
        self._by_refresh_token: dict[str, _SignIn] = {}

    def redirect_uri(self, parameters: Mapping[str, str]) -> str:
        """Where the answer to a request goes; any loopback address is as good as registered.

        Raises:
            RefusalError: 400; there is nobody to send back to.
        """
        uri = parameters.get("redirect_uri", "")
        if parameters.get("client_id") not in (self._config.client_id, self._config.app_client_id):
            raise RefusalError(400, "invalid", "the client_id is unknown")
        parts = urlsplit(uri)
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            raise RefusalError(400, "invalid", "the redirect_uri is not registered")
        return uri

    def read(self, parameters: Mapping[str, str], base_url: str) -> LaunchRequest:
        """What is asked.

        Raises:
            TokenRefusalError: with the error the client must see at its redirect URI.
        """
        scopes = tuple(dict.fromkeys(parameters.get("scope", "").split()))
        unknown = [scope for scope in scopes if scope not in self.scopes_supported]
        response_type = parameters.get("response_type")
        challenge = parameters.get("code_challenge", "")
        has_challenge = challenge and parameters.get("code_challenge_method") == "S256"
        problems = (
            (response_type != "code", "unsupported_response_type", "response_type must be code"),
            (parameters.get("aud") != base_url, "invalid_request", f"aud must be {base_url}"),
            (not parameters.get("state"), "invalid_request", "state is missing"),
            (not has_challenge, "invalid_request", "PKCE with S256 is required"),
            (bool(unknown), "invalid_scope", f"unknown scope: {' '.join(unknown)}"),
            (not scopes, "invalid_scope", "ask for at least one scope"),
        )
        for is_wrong, error, text in problems:
            if is_wrong:
                raise TokenRefusalError(error, text)
        return LaunchRequest(parameters["client_id"], parameters["redirect_uri"], scopes, challenge)

    def approve(self, request: LaunchRequest, patient_id: str) -> str:
        """Remember a person's approval; returns the code for it."""
        code = secrets.token_urlsafe(32)
        until = self._now() + self._config.code_seconds
        self._by_code[code] = _SignIn(secrets.token_hex(8), request, patient_id, until)
        return code

    def issue(
        self, form: Mapping[str, str], authorization: str | None, token_url: str
    ) -> dict[str, Any]:
        """Answer a token request: the code, or the last refresh token, for new ones.

        Raises:
            TokenRefusalError: with the OAuth error code the client must see.
        """
        client_id = self._tokens.authenticate(form, authorization, token_url)
        if form["grant_type"] == "refresh_token":
            return self._give(self._of_refresh_token(form, client_id))
        return self._give(self._of_code(form, client_id))

    def revoke(self, form: Mapping[str, str], authorization: str | None, token_url: str) -> None:
        """End the sign-in of a refresh token, or one access token; an unknown one is no error.

        Raises:
            TokenRefusalError: the client is unknown.
        """
        client_id = self._tokens.authenticate(form, authorization, token_url)
        token = form.get("token", "")
        found = self._by_refresh_token.get(token)
        if found is None:
            self._tokens.forget(f"Bearer {token}")
        elif found.request.client_id == client_id:
            self._end(found)

    def _of_code(self, form: Mapping[str, str], client_id: str) -> _SignIn:
        found = self._by_code.get(form.get("code", ""))
        if found is None or found.request.client_id != client_id:
            raise TokenRefusalError("invalid_grant", "the code is unknown")
        if found.is_code_used:
            self._end(found)
            raise TokenRefusalError("invalid_grant", "the code was used before")
        found.is_code_used = True
        if self._now() >= found.code_until:
            raise TokenRefusalError("invalid_grant", "the code has expired")
        if form.get("redirect_uri") != found.request.redirect_uri:
            raise TokenRefusalError("invalid_grant", "the redirect_uri is another")
        if not _answers(found.request.challenge, form.get("code_verifier", "")):
            raise TokenRefusalError("invalid_grant", "the code_verifier is wrong")
        return found

    def _of_refresh_token(self, form: Mapping[str, str], client_id: str) -> _SignIn:
        token = form.get("refresh_token", "")
        found = self._by_refresh_token.get(token)
        if found is None or found.request.client_id != client_id:
            raise TokenRefusalError("invalid_grant", "the refresh token is unknown")
        if token != found.refresh_token:
            self._end(found)
            raise TokenRefusalError("invalid_grant", "the refresh token was used before or revoked")
        if self._now() >= found.refresh_until:
            raise TokenRefusalError("invalid_grant", "the refresh token has expired")
        return found

    def _give(self, signed_in: _SignIn) -> dict[str, Any]:
        scopes = signed_in.request.scopes
        reply = self._tokens.give(
            signed_in.request.client_id, scopes, signed_in.name, signed_in.patient_id
        )
        if LAUNCH_PATIENT in scopes:
            reply["patient"] = signed_in.patient_id
        if OFFLINE in scopes:
            signed_in.refresh_token = secrets.token_urlsafe(32)
            signed_in.refresh_until = self._now() + self._config.refresh_seconds
            self._by_refresh_token[signed_in.refresh_token] = signed_in
            reply["refresh_token"] = signed_in.refresh_token
        return reply

    def _end(self, signed_in: _SignIn) -> None:
        signed_in.refresh_token = ""
        self._tokens.forget_sign_in(signed_in.name)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _answers(challenge: str, verifier: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return hmac.compare_digest(expected, challenge.encode())
