"""The Bulk Data conversation as a pure state machine: a state and a reply give the next state.

Nothing here sends, waits or writes. Source: Bulk Data Access, "Bulk Data Export Operation".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ecw_pipeline.bulk_export.messages import (
    Manifest,
    Reply,
    is_manifest,
    parse_manifest,
    whole_url,
)
from ecw_pipeline.errors import ProtocolError

FIRST_POLL_SECONDS = 2.0
LONGEST_POLL_SECONDS = 300.0
# A server that asks for more patience has it, but not so much that nobody would notice its end.
LONGEST_ASKED_SECONDS = 3600.0
# A server that asks to be polled every second, and then stands still, is asked ever more rarely.
LONGEST_IDLE_POLL_SECONDS = 60.0
# One that answers nothing but 500, and no OperationOutcome, is asked ever more rarely up to here.
LONGEST_FAILING_POLL_SECONDS = 60.0
# How long a kick-off that was refused for a passing reason rests, unless the server says.
REFUSED_WAIT_SECONDS = 60.0
# As codes of FHIR's issue-type are spelt; anything else could be free text.
_CODE = re.compile(r"[a-z-]{1,40}")
_SEVERE = frozenset({"error", "fatal"})
_FAILING = "the server fails to say how far it is"
_UNKNOWN = "the server does not know the export yet"
# How long a server may not know an export that it has just taken, as seconds between two polls.
LONGEST_UNKNOWN_POLL_SECONDS = 10.0
_URL = re.compile(r"https?://[^\s\"'<>]+")
_RUNNING = re.compile(
    r"already (?:running|exists|being|in )|in progress|\bconflict\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Requested:
    """The kick-off request is about to be sent to ``url``.

    ``parameters`` are names of those in it that it can do without, ``resource_types`` what
    ``_type`` asks for.
    """

    url: str
    parameters: tuple[str, ...] = ()
    resource_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The kick-off was not taken now; it may be asked again after ``wait_seconds``."""

    reason: str
    wait_seconds: float


@dataclass(frozen=True)
class Unsupported:
    """The kick-off was not taken because of a parameter; it may be asked again without it."""

    parameter: str
    reason: str


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
class Lost:
    """The server knows nothing of an export it had taken: it restarted, or threw it away."""

    reason: str = "the server no longer knows this export"


@dataclass(frozen=True)
class Failed:
    """There is no export (any more); the reason is the server's, without its free text."""

    reason: str


ExportState = Requested | Refused | Unsupported | InProgress | Completed | Lost | Failed


def next_state(state: Requested | InProgress, reply: Reply) -> ExportState:
    """Decide what a reply means where we are."""
    match state:
        case Requested():
            return _after_kick_off(state, reply)
        case InProgress():
            return _after_poll(state, reply)


def _after_kick_off(state: Requested, reply: Reply) -> ExportState:
    said = f"HTTP {reply.status_code}{_codes(reply)}"
    match reply.status_code:
        case 200 | 201 | 202:
            named = reply.headers.get("content-location") or reply.headers.get("location", "")
            return _started(state, reply, named)
        case 400 | 409 | 422 | 423 | 429 if _is_running(reply):
            if url := _running_url(reply):
                return _started(state, reply, url)
            return Refused(f"an export is running already: {said}", _refused_wait(reply))
        case 409 | 423 | 429 | 503:
            return Refused(said, _refused_wait(reply))
        case status if 400 <= status < 500 and (named := _named_parameter(state, reply)):
            return Unsupported(named, f"the server does not take {named}: {said}")
        case status if status >= 500 and "transient" in _issue_codes(reply):
            return Refused(said, _refused_wait(reply))
        case _:
            return Failed(f"the export was refused: {said}")


def _started(state: Requested, reply: Reply, location: str) -> ExportState:
    if not location:
        return Failed("the server accepted the export but named no status URL")
    try:
        url = whole_url(reply.url or state.url, location)
    except ValueError:
        return Failed("the server accepted the export but its status URL is none")
    return InProgress(url, "", _wait_seconds(reply, FIRST_POLL_SECONDS))


def _is_running(reply: Reply) -> bool:
    """Whether a refusal says that the same export is under way; there is no code for it."""
    has_location = reply.headers.get("content-location")
    return bool(has_location) or any(map(_RUNNING.search, _texts(reply)))


def _running_url(reply: Reply) -> str:
    """Where the running export can be asked after, if a refusal says so."""
    found = (url for text in _texts(reply) for url in _URL.findall(text))
    return reply.headers.get("content-location") or next(found, "").rstrip(".,;)")


def _named_parameter(state: Requested, reply: Reply) -> str:
    """The optional parameter that a refusal complains of, or none.

    One that names a type that was asked for complains of ``_type``: without it the server gives
    what it has. Of a grant that is missing nothing can be left out.
    """
    said = " ".join(_texts(reply))
    for name in state.parameters:
        if _is_word_in(name, said):
            return name
    may_be_a_type = "_type" in state.parameters and reply.status_code not in (401, 403)
    is_a_type = may_be_a_type and any(_is_word_in(one, said) for one in state.resource_types)
    return "_type" if is_a_type else ""


def _is_word_in(name: str, text: str) -> bool:
    return bool(re.search(rf"(?<!\w){name}(?!\w)", text))


def _after_poll(state: InProgress, reply: Reply) -> ExportState:
    match reply.status_code:
        case 200 if _SEVERE.intersection(_severities(reply)):
            return Failed(f"the export failed at the server: HTTP 200{_codes(reply)}")
        case 200 if not is_manifest(reply.document):
            # The manifest of some servers comes after they have said that it is there.
            said = "complete, says the server, but without a manifest"
            return InProgress(state.status_url, said, _longer(state.wait_seconds))
        case 200:
            return _complete(state, reply)
        case 202:
            return _waiting(state, reply)
        case 408 | 429 | 502 | 503 | 504:
            return _wait_again(state, reply)
        case status if status >= 500 and "transient" in _issue_codes(reply):
            return _wait_again(state, reply)
        case 401 | 403 as status:
            # The token was renewed already: somebody mends the grant, or the deadline ends it.
            said = f"the server does not let us ask (HTTP {status})"
            return InProgress(state.status_url, said, _wait_seconds(reply, 60.0))
        case 404 if _may_be_known_soon(state):
            wait = _longer(state.wait_seconds if state.progress == _UNKNOWN else 0.0)
            return InProgress(state.status_url, _UNKNOWN, _wait_seconds(reply, wait))
        case 404 | 410:
            return Lost()
        case status if status >= 500 and not any(_issues(reply)) and _is_patient(state):
            # Not the server's word that the export failed: a crash on the way, which may pass.
            wait = _longer(state.wait_seconds if state.progress == _FAILING else 0.0)
            return InProgress(state.status_url, _FAILING, _wait_seconds(reply, wait))
        case status:
            return Failed(f"the export failed at the server: HTTP {status}{_codes(reply)}")


def _is_patient(state: InProgress) -> bool:
    """Whether a server that does nothing but fail has not done so for minutes."""
    return state.progress != _FAILING or state.wait_seconds <= LONGEST_FAILING_POLL_SECONDS


def _may_be_known_soon(state: InProgress) -> bool:
    """Whether an export was never known so far, and asked for half a minute ago at most."""
    is_waited_for = (
        state.progress == _UNKNOWN and state.wait_seconds <= LONGEST_UNKNOWN_POLL_SECONDS
    )
    return not state.progress or is_waited_for


def _complete(state: InProgress, reply: Reply) -> ExportState:
    try:
        url = reply.url or state.status_url
        return Completed(parse_manifest(reply.document, url), reply.document)
    except ProtocolError as error:
        return Failed(str(error))


def _waiting(state: InProgress, reply: Reply) -> InProgress:
    said = reply.headers.get("x-progress", state.progress)[:100]
    progress = "".join(filter(str.isprintable, said))  # it is shown on terminals
    longer = _longer(state.wait_seconds)
    wait = _wait_seconds(reply, longer)
    if progress == state.progress:
        wait = max(wait, min(longer, LONGEST_IDLE_POLL_SECONDS))
    return InProgress(state.status_url, progress, wait)


def _wait_again(state: InProgress, reply: Reply) -> InProgress:
    wait = _wait_seconds(reply, _longer(state.wait_seconds))
    return InProgress(state.status_url, state.progress, wait)


def _wait_seconds(reply: Reply, otherwise: float) -> float:
    """What the server asks for, or our own patience; never zero, so that no loop spins."""
    asked = reply.retry_after_seconds
    if asked is None:
        return otherwise
    return min(max(asked, 0.5), LONGEST_ASKED_SECONDS)


def _refused_wait(reply: Reply) -> float:
    return _wait_seconds(reply, REFUSED_WAIT_SECONDS)


def _longer(wait_seconds: float) -> float:
    return min(max(wait_seconds, FIRST_POLL_SECONDS) * 1.5, LONGEST_POLL_SECONDS)


def _issues(reply: Reply) -> Iterator[Mapping[str, Any]]:
    issues = reply.document.get("issue")
    yield from (one for one in issues if isinstance(one, dict)) if isinstance(issues, list) else ()


def _severities(reply: Reply) -> Iterator[str]:
    yield from (str(issue.get("severity")) for issue in _issues(reply))


def _issue_codes(reply: Reply) -> tuple[str, ...]:
    """The codes of an OperationOutcome: words of the specification, never patient content."""
    codes = (str(issue.get("code", "")) for issue in _issues(reply))
    return tuple(code for code in codes if _CODE.fullmatch(code))


def _texts(reply: Reply) -> list[str]:
    """The free text of an OperationOutcome: to be searched, never repeated."""
    texts: list[str] = []
    for issue in _issues(reply):
        details = issue.get("details")
        said = details.get("text") if isinstance(details, dict) else ""
        texts += [str(issue.get("code", "")), str(issue.get("diagnostics", "")), str(said)]
    return texts


def _codes(reply: Reply) -> str:
    codes = ", ".join(sorted(set(_issue_codes(reply))))
    return f" ({codes})" if codes else ""
