"""Faults of the status request, up to the manifest."""

from starlette.responses import JSONResponse, Response

from ecw_pipeline.sandbox.faults.exchange import Exchange
from ecw_pipeline.sandbox.faults.fault import on_reply, on_request


# Jobs whose worker died while the web server lives on.
@on_request("status")
def frozen_progress(exchange: Exchange, *, progress: str = "42% Completed") -> Response:
    """Says the same progress for ever."""
    wait = str(exchange.sandbox.config.retry_after_seconds)
    return Response(status_code=202, headers={"X-Progress": progress, "Retry-After": wait})


# Servers that keep jobs in memory.
@on_request("status", times=1)
def lost_job(exchange: Exchange) -> None:
    """Restarts before a status request: every job is forgotten and answered 404."""
    exchange.sandbox.exports.forget()


# X-Progress is free text: sentences, counts, markup.
@on_reply("status", statuses=(202,))
def progress_text(reply: Response, *, text: str = "almost there; <b>3 of 7</b> chunks") -> None:
    """Says its progress in words of its own."""
    reply.headers["x-progress"] = text


# Servers that write the manifest after they have said that it is there.
@on_reply("status", statuses=(200,), times=1)
def empty_body_first() -> Response:
    """Answers 200 with an empty JSON object, once, before the manifest comes."""
    return JSONResponse({})


FAULTS = (frozen_progress, lost_job, progress_text, empty_body_first)
