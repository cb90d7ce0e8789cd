"""Faults of attachments: what comes is not what the resource says."""

from starlette.responses import HTMLResponse, Response

from ecw_pipeline.sandbox.faults.deliveries import BrokenOff
from ecw_pipeline.sandbox.faults.exchange import Exchange, set_body
from ecw_pipeline.sandbox.faults.fault import on_reply, on_request
from ecw_pipeline.sandbox.outcomes import FHIR_JSON


# Single sign-on gateways, which answer 200.
@on_reply("attachment", statuses=(200,))
def sign_in_page() -> Response:
    """Answers 200 with an HTML page to sign in at instead of the document."""
    return HTMLResponse("<html><body>Please sign in</body></html>")


# Documents that are amended in place.
@on_reply("attachment", statuses=(200,))
def changed_content(reply: Response) -> None:
    """Sends a document whose last byte is another."""
    body = bytes(reply.body)
    set_body(reply, body[:-1] + bytes([body[-1] ^ 1]))


# Scans of whole charts.
@on_reply("attachment", statuses=(200,))
def announced_size(reply: Response, *, size_bytes: int = 2_000_000_000) -> Response:
    """Says a Content-Length of so many bytes, and breaks off before they have come."""
    reply.headers["content-length"] = str(size_bytes)
    return BrokenOff(reply, len(reply.body))


# Servers that know no other form of a Binary.
@on_request("attachment")
def binary_as_resource(exchange: Exchange) -> None:
    """Answers with the Binary as FHIR JSON, whatever was asked for."""
    exchange.headers["accept"] = FHIR_JSON


FAULTS = (announced_size, sign_in_page, changed_content, binary_as_resource)
