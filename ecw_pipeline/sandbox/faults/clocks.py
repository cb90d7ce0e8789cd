"""Faults of the server's clock."""

import base64
import json
from datetime import datetime, timedelta
from email.utils import format_datetime

from starlette.responses import Response

from ecw_pipeline.fhir.instants import format_instant, parse_instant
from ecw_pipeline.sandbox.faults.exchange import Exchange, set_body
from ecw_pipeline.sandbox.faults.fault import REQUESTS, Json, manifest_of, on_reply
from ecw_pipeline.sandbox.outcomes import TokenRefusalError, token_error_response


# Virtual machines whose clock drifts.
@on_reply(*REQUESTS)
def clock_skew(exchange: Exchange, reply: Response, *, minutes: int = 10) -> Response | None:
    """Has its clock ahead (or behind: negative) by minutes: Date, transactionTime, and
    what it takes for an expired or future JWT."""
    skew = timedelta(minutes=minutes)
    now = exchange.sandbox.clock.now() + skew
    reply.headers["date"] = format_datetime(now, usegmt=True)
    manifest = manifest_of(reply) if exchange.kind == "status" else None
    if manifest and "transactionTime" in manifest:
        moment = parse_instant(manifest["transactionTime"]) + skew
        manifest["transactionTime"] = format_instant(moment)
        set_body(reply, json.dumps(manifest).encode())
    if not _holds(exchange, now):
        refusal = TokenRefusalError("invalid_client", "assertion expired or not yet valid")
        return token_error_response(refusal)
    return None


def _holds(exchange: Exchange, now: datetime) -> bool:
    """Whether a token request's assertion, if it has one, is valid at an instant."""
    assertion = exchange.form.get("client_assertion", "") if exchange.kind == "token" else ""
    if not assertion:
        return True
    payload = assertion.split(".")[1]
    claims: Json = json.loads(base64.urlsafe_b64decode(payload + "=="))
    starts = [claims[name] for name in ("iat", "nbf") if name in claims]
    return claims["exp"] > now.timestamp() and all(s <= now.timestamp() for s in starts)


FAULTS = (clock_skew,)
