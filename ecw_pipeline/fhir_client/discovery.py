"""What a server says of its authorization.

Source: SMART App Launch 2.2, "Conformance"; 1.0, "Declaring support", for older servers.
"""

from dataclasses import dataclass
from typing import Any

import httpx

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.fhir_client.transport import (
    json_object,
    network_errors,
    require_not_busy,
    require_safe_url,
)


@dataclass(frozen=True)
class SmartServer:
    """Where tokens are given, for what, and by which signatures; empty where it does not say.

    Args:
        authorization_endpoint: where people sign in.
    """

    token_endpoint: str
    authorization_endpoint: str = ""
    scopes: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()


def discover(connection: Connection, http: httpx.Client) -> SmartServer:
    """Ask the server, unless the connection names the token endpoint itself.

    Raises:
        ConfigurationError: the address is no SMART server.
        ProtocolError: the endpoint is not https.
        TemporaryError: the server is busy.
    """
    if connection.token_url:
        require_safe_url(connection.token_url)
        return SmartServer(connection.token_url)
    url = f"{connection.base_url}/.well-known/smart-configuration"
    with network_errors(url):
        reply = http.get(url, headers={"Accept": "application/json"})
    require_not_busy(reply)
    document = json_object(reply) if reply.status_code == httpx.codes.OK else {}
    document = document if "token_endpoint" in document else _oauth_uris(connection, http)
    endpoint = document.get("token_endpoint")
    if not isinstance(endpoint, str):
        raise ConfigurationError(
            f"no SMART configuration at {connection.base_url} (HTTP {reply.status_code})",
            "check ECLINICALWORKS_FHIR_ENDPOINT: the base URL, with the practice code if any;"
            " or set ECW_TOKEN_URL",
        )
    require_safe_url(endpoint)
    return SmartServer(
        endpoint,
        str(document.get("authorization_endpoint") or ""),
        _texts(document.get("scopes_supported")),
        _texts(document.get("token_endpoint_auth_signing_alg_values_supported")),
    )


def _oauth_uris(connection: Connection, http: httpx.Client) -> dict[str, str]:
    """The endpoints that servers before SMART 2 name in their CapabilityStatement alone."""
    url = f"{connection.base_url}/metadata"
    with network_errors(url):
        reply = http.get(url, headers={"Accept": "application/fhir+json"})
    require_not_busy(reply)
    named = {
        one.get("url"): one.get("valueUri")
        for rest in _objects(json_object(reply).get("rest"))
        for security in _objects([rest.get("security")])
        for extension in _objects(security.get("extension"))
        if str(extension.get("url")).endswith("/oauth-uris")
        for one in _objects(extension.get("extension"))
    }
    uris = {"token_endpoint": named.get("token"), "authorization_endpoint": named.get("authorize")}
    return {name: uri for name, uri in uris.items() if isinstance(uri, str)}


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
