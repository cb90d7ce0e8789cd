"""Faults of the token endpoint."""

import json

from starlette.responses import JSONResponse, Response

from ecw_pipeline.sandbox.faults.exchange import Exchange, set_body
from ecw_pipeline.sandbox.faults.fault import Json, on_reply, on_request
from ecw_pipeline.sandbox.outcomes import TokenRefusalError, token_error_response


# eClinicalWorks, live: tokens of 300 s, exports of an hour.
@on_reply("token", statuses=(200,))
def token_lifetime(
    exchange: Exchange, reply: Response, *, seconds: int = 300, announced: bool = True
) -> None:
    """Gives tokens that live so many seconds; unannounced, expires_in is left out."""
    issued: Json = json.loads(bytes(reply.body))
    exchange.sandbox.tokens.shorten(issued["access_token"], seconds)
    issued["expires_in"] = seconds
    if not announced:
        del issued["expires_in"]
    set_body(reply, json.dumps(issued).encode())


# eClinicalWorks, live: one scope it does not know, and there is no token at all.
@on_request("token")
def refused_scopes(
    exchange: Exchange, *, resource_types: tuple[str, ...] = ("Communication", "Task")
) -> Response | None:
    """Refuses a whole token request for a scope of these types, without naming it."""
    asked = {_type_and_suffix(scope)[0] for scope in _scopes(exchange)}
    return _invalid_scope() if asked & set(resource_types) else None


# eClinicalWorks, live: some types exist only as `.r`. SMART 2 servers know `.rs`, and no `.read`.
@on_reply("token", "fhir", statuses=(200,))
def scope_spelling(
    exchange: Exchange,
    reply: Response,
    *,
    suffixes: tuple[str, ...] = ("r",),
    resource_types: tuple[str, ...] = (),
) -> Response | None:
    """Knows the scopes of these types (none: of all) only by these endings, and advertises so."""

    def is_known(scope: str) -> bool:
        name, suffix = _type_and_suffix(scope)
        return suffix in suffixes or bool(resource_types and name not in resource_types)

    if exchange.kind == "token":
        return None if all(map(is_known, _scopes(exchange))) else _invalid_scope()
    if exchange.path.endswith("/smart-configuration"):
        document: Json = json.loads(bytes(reply.body))
        document["scopes_supported"] = list(filter(is_known, document["scopes_supported"]))
        set_body(reply, json.dumps(document).encode())
    return None


# Servers that follow RFC 6749, 3.3: they grant what they like and say so.
@on_request("token")
def fewer_scopes(exchange: Exchange, *, resource_types: tuple[str, ...] = ("Task",)) -> None:
    """Grants what is asked, without the scopes of these types."""
    kept = [s for s in _scopes(exchange) if _type_and_suffix(s)[0] not in resource_types]
    exchange.set_form({**exchange.form, "scope": " ".join(kept)})


# eClinicalWorks, live.
@on_request("token")
def access_denied(*, status: int = 500) -> Response:
    """Refuses a token as access_denied, with HTTP 500."""
    return JSONResponse({"error": "access_denied"}, status)


def _scopes(exchange: Exchange) -> list[str]:
    return exchange.form.get("scope", "").split()


def _type_and_suffix(scope: str) -> tuple[str, str]:
    name, _, suffix = scope.rpartition("/")[2].partition(".")
    return name, suffix


def _invalid_scope() -> Response:
    return token_error_response(TokenRefusalError("invalid_scope", "invalid scope requested"))


FAULTS = (access_denied, refused_scopes, scope_spelling, token_lifetime, fewer_scopes)
