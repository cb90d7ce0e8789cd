"""Tokens of the person who signed in to a connection, renewed until that is over.

Source: SMART App Launch 2.2, "Obtain access token", "Refresh access token"; RFC 6749, 6.
"""

from dataclasses import replace
from pathlib import Path

import httpx

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir_client.auth import Token, TokenSource, says
from ecw_pipeline.fhir_client.discovery import SmartServer, discover
from ecw_pipeline.fhir_client.providers import Connection


class UserTokens(TokenSource):
    """The current token of whoever signed in; kept in a 0600 file with what renews it.

    Servers give a new refresh token at each renewal, and take one that comes again for stolen: the
    file's lock lets one process renew at a time, and the others find what it got.
    """

    def __init__(
        self, connection: Connection, http: httpx.Client, path: Path, clock: Clock
    ) -> None:
        super().__init__(connection, http, path, clock)
        # What one server gave one client goes to no other.
        self._wanted = f"{connection.base_url} {connection.client_id}"

    def exchange(self, server: SmartServer, code: str, verifier: str, asked: str) -> Token:
        """Make tokens of the code that the browser brought, and keep them.

        Raises:
            ConfigurationError: the server does not take the code or the client.
            TemporaryError: the token endpoint cannot be reached now.
            ProtocolError: its reply is not a token.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._connection.redirect_uri,
            "code_verifier": verifier,
        }
        with self._locked():
            reply = self._post(server, form)
            if says(reply, "invalid_grant"):
                raise ConfigurationError(
                    "the server does not take the code that it gave (invalid_grant)",
                    "run again, and approve without delay: ecw login",
                )
            token = self._read_reply(reply)
            scope = token.scope or asked
            return self._kept(replace(token, scope=scope, asked=asked, wanted=self._wanted))

    def _fetch(self, known: Token | None) -> Token:
        if known is None or known.wanted != self._wanted or not known.refresh_token:
            raise self._over()
        server = discover(self._connection, self._http)
        form = {"grant_type": "refresh_token", "refresh_token": known.refresh_token}
        reply = self._post(server, form)
        if says(reply, "invalid_grant"):
            self._kept(replace(known, value="", refresh_token="", expires_at=0.0))
            raise self._over()
        new = self._read_reply(reply)
        return replace(
            known,
            value=new.value,
            expires_at=new.expires_at,
            scope=new.scope or known.scope,
            refresh_token=new.refresh_token or known.refresh_token,
        )

    def _over(self) -> ConfigurationError:
        name = self._connection.connection_id
        return ConfigurationError(
            f"the sign-in to connection {name!r} is over: it ended, was revoked,"
            " or is for another server or client",
            f"sign in again: ecw login --connection {name}",
        )
