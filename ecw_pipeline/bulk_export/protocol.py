"""The Bulk Data conversation as a pure state machine: a state and a reply give the next state.

Nothing here sends, waits or writes. Source: Bulk Data Access, "Bulk Data Export Operation".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from ecw_pipeline.bulk_export.messages import Manifest, Reply, parse_manifest

FIRST_POLL_SECONDS = 2.0
LONGEST_POLL_SECONDS = 300.0
# As codes of FHIR's issue-type are spelt; anything else could be free text.
_CODE = re.compile(r"[a-z-]{1,40}")


@dataclass(frozen=True)
class Requested:
    """The kick-off request is about to be sent to ``url``."""

    url: str


@dataclass(frozen=True)
class Refused:
    """The kick-off was not taken now; it may be asked again after ``wait_seconds``."""

    reason: str
    wait_seconds: float


@dataclass(frozen=True)
class InProgress:
    """The server is at work; ask ``status_url`` again after ``wait_seconds``."""

    status_url: str
    progress: str
    wait_seconds: float


@dataclass(frozen=True)
class Completed:
    """The files are ready."""

    manifest: Manifest
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """There is no export (any more); the reason is the server's, without its free text."""

    reason: str


ExportState = Requested | Refused | InProgress | Completed | Failed


def next_state(state: Requested | InProgress, reply: Reply) -> ExportState:
    """Decide what a reply means where we are."""
    match state:
        case Requested():
            return _after_kick_off(state, reply)
        case InProgress():
            return _after_poll(state, reply)


def _after_kick_off(state: Requested, reply: Reply) -> ExportState:
    match reply.status_code:
        case 202 if location := reply.headers.get("content-location"):
            wait = _wait_seconds(reply, FIRST_POLL_SECONDS)
            try:
                return InProgress(urljoin(state.url, location), "", wait)
            except ValueError:
                return Failed("the server accepted the export but its status URL is none")
        case 202 | 200:
            return Failed("the server accepted the export but named no status URL")
        case 429 | 503:
            reason = f"HTTP {reply.status_code}{_codes(reply)}"
            return Refused(reason, _wait_seconds(reply, 60.0))
        case status:
            return Failed(f"the export was refused: HTTP {status}{_codes(reply)}")


def _after_poll(state: InProgress, reply: Reply) -> ExportState:
    match reply.status_code:
        case 200:
            return Completed(parse_manifest(reply.document, state.status_url), reply.document)
        case 202:
            progress = reply.headers.get("x-progress", state.progress)[:100]
            wait = _wait_seconds(reply, _longer(state.wait_seconds))
            return InProgress(state.status_url, progress, wait)
        case 408 | 429 | 502 | 503 | 504:
            return _wait_again(state, reply)
        case status if status >= 500 and "transient" in _issue_codes(reply):
            return _wait_again(state, reply)
        case 401 | 403 as status:
            # The token was renewed already: somebody mends the grant, or the deadline ends it.
            said = f"the server does not let us ask (HTTP {status})"
            return InProgress(state.status_url, said, _wait_seconds(reply, 60.0))
        case 404 | 410:
            return Failed("the server no longer knows this export")
        case status:
            return Failed(f"the export failed at the server: HTTP {status}{_codes(reply)}")


def _wait_again(state: InProgress, reply: Reply) -> InProgress:
    wait = _wait_seconds(reply, _longer(state.wait_seconds))
    return InProgress(state.status_url, state.progress, wait)


def _wait_seconds(reply: Reply, otherwise: float) -> float:
    """What the server asks for, or our own patience; never zero, so that no loop spins."""
    asked = reply.retry_after_seconds
    return min(max(otherwise if asked is None else asked, 0.5), LONGEST_POLL_SECONDS)


def _longer(wait_seconds: float) -> float:
    return min(max(wait_seconds, FIRST_POLL_SECONDS) * 1.5, LONGEST_POLL_SECONDS)


def _issue_codes(reply: Reply) -> tuple[str, ...]:
    """The codes of an OperationOutcome: words of the specification, never patient content."""
    issues = reply.document.get("issue")
    if not isinstance(issues, list):
        return ()
    codes = (str(issue.get("code", "")) for issue in issues if isinstance(issue, dict))
    return tuple(code for code in codes if _CODE.fullmatch(code))


def _codes(reply: Reply) -> str:
    codes = ", ".join(sorted(set(_issue_codes(reply))))
    return f" ({codes})" if codes else ""
