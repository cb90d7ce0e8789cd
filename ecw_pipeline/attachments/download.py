"""One attachment from its URL into the store, within limits, verified by what was declared.

The token goes to the server's own origin alone; where an address or a redirect may lead is the
session's to say.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from ecw_pipeline.attachments.declared import (
    Declared,
    Outcome,
    Rules,
    kind_of,
    media_type,
    too_large,
    unwanted,
    wrong_type,
)
from ecw_pipeline.attachments.inline import BINARY, keep_data
from ecw_pipeline.attachments.store import Arriving, Store
from ecw_pipeline.errors import ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.session import FHIR_JSON, Session
from ecw_pipeline.fhir_client.transport import (
    ATTACHMENTS_LANE,
    network_errors,
    require_not_busy,
    require_safe_url,
)

# A file that takes longer is broken off: others wait.
PATIENCE = timedelta(minutes=10)
# What a Binary's JSON has beside its data.
_ENVELOPE_BYTES = 64 << 10


def fetch(
    session: Session, url: str, declared: Declared, rules: Rules, store: Store, name: str
) -> Outcome:
    """Fetch ``url`` into the store; what keeps it from us is an outcome, not an error.

    Raises:
        TemporaryError: the connection broke or crawled, or the server has no time.
        ConfigurationError: there is no token to be had.
        MachineError: the disk is full.

    Source: FHIR R4, "Attachment.url"; "Binary", "Serving Binary Resources using the RESTful API".
    """
    if session.tokens:
        session.tokens.current()  # what is wrong with the token is no fault of the attachment's
    try:
        require_safe_url(url)
        with network_errors(url), _asked(session, url, declared) as reply:
            require_not_busy(reply)
            return _refusal(session, reply) or _take(session, reply, declared, rules, store, name)
    except ProtocolError as error:
        return Outcome("refused", error=str(error))


@contextmanager
def _asked(session: Session, url: str, declared: Declared) -> Iterator[httpx.Response]:
    wanted = media_type(declared.content_type)
    accept = f"{wanted}, {FHIR_JSON};q=0.5, */*;q=0.1" if wanted else "*/*"
    with session.http.stream(
        "GET",
        url,
        headers={"Accept": accept, "Accept-Encoding": "identity"},
        auth=session.auth if session.is_own(url) else httpx.Auth(),
        follow_redirects=True,
        extensions=ATTACHMENTS_LANE | session.own_hosts,
    ) as reply:
        yield reply


def _refusal(session: Session, reply: httpx.Response) -> Outcome | None:
    status = reply.status_code
    match status:
        case httpx.codes.OK:
            return None
        case httpx.codes.NOT_FOUND | httpx.codes.GONE:
            return Outcome(
                "gone",
                error=f"the server has it no more (HTTP {status})"
                " → if it comes back, run with --retry",
            )
        case httpx.codes.UNAUTHORIZED if not session.is_own(str(reply.url)):
            return Outcome(
                "refused",
                error=f"{reply.url.host}, where the server sends us, wants a token"
                " → none was sent to it; ask the provider's support",
            )
        case httpx.codes.UNAUTHORIZED | httpx.codes.FORBIDDEN:
            return Outcome(
                "refused",
                error=f"the server does not let us read it (HTTP {status})"
                " → have system/Binary.read granted to this client, then run with --retry",
            )
    return Outcome(
        "failed",
        error=f"the server answered {status} instead of it → run again; if it stays, ask the"
        " provider's support",
    )


def _take(
    session: Session,
    reply: httpx.Response,
    declared: Declared,
    rules: Rules,
    store: Store,
    name: str,
) -> Outcome:
    replied = reply.headers.get("content-type", "")
    is_envelope = _is_envelope(replied, declared)
    said = kind_of(declared.content_type)
    fits = not said or kind_of(replied) in ("", said)
    if not (fits or is_envelope or declared.digest):
        return wrong_type(replied)
    content_type = replied if media_type(replied) and fits else declared.content_type or replied
    if not (is_envelope or rules.wants(content_type)):
        return unwanted(content_type)
    limit = rules.max_bytes * 4 // 3 + _ENVELOPE_BYTES if is_envelope else rules.max_bytes
    announced = reply.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        return too_large(int(announced), rules)
    with store.arriving(name) as file:
        if not _copy(session, reply, file, limit):
            return too_large(file.size_bytes, rules)
        if is_envelope:
            return _opened(file.read(), declared, rules, store, f"{name}.data")
        wrong = declared.judge(file.sha1, file.size_bytes)
        return wrong or Outcome("fetched", file.keep(), file.size_bytes, content_type)


def _is_envelope(replied: str, declared: Declared) -> bool:
    """Whether a Binary may come as a resource, its content in base64."""
    is_fhir = media_type(replied) in (FHIR_JSON, "application/json")
    return is_fhir and kind_of(declared.content_type) != "json"


def _opened(body: bytes, declared: Declared, rules: Rules, store: Store, name: str) -> Outcome:
    """What is in a Binary that came as JSON."""
    try:
        binary: Any = json.loads(body)
    except (ValueError, RecursionError):
        binary = None
    if not isinstance(binary, dict) or binary.get("resourceType") != BINARY:
        return wrong_type(FHIR_JSON)
    return keep_data(binary, declared, rules, store, name)


def _copy(session: Session, reply: httpx.Response, file: Arriving, limit: int) -> bool:
    """Take in the body; False as soon as it is more than the limit."""
    until = session.clock.now() + PATIENCE
    for chunk in reply.iter_bytes():
        file.take(chunk)
        if file.size_bytes > limit:
            return False
        if session.clock.now() > until:
            raise TemporaryError(
                f"{reply.url.host} sends an attachment too slowly",
                "run again: it is fetched anew",
            )
    return True
