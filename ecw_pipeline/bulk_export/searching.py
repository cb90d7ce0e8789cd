"""An export by FHIR search, for servers or clients without `$export`.

It looks like one in bulk: an instant, files by type, and each file whole or absent. The manifest is
ours; a file is what a search finds, page after page, and goes on with the page it broke off at.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx
import msgspec

from ecw_pipeline.bulk_export.download import Downloaded
from ecw_pipeline.bulk_export.limits import Limits
from ecw_pipeline.bulk_export.messages import ExportRequest, parse_manifest
from ecw_pipeline.bulk_export.partial import PLAIN
from ecw_pipeline.bulk_export.protocol import Completed
from ecw_pipeline.errors import BadDataError, ConfigurationError, ProtocolError, TemporaryError
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.fhir_client.search import (
    SearchPage,
    SearchRefusedError,
    first_pages,
    search,
    search_page,
    takes_batches,
)
from ecw_pipeline.fhir_client.session import FHIR_JSON, Session
from ecw_pipeline.fhir_client.transport import network_errors, require_not_busy
from ecw_pipeline.files import (
    PRIVATE_FILE_MODE,
    machine_errors,
    part_path,
    private_folder,
    read_json,
    rename_whole,
    sha256_of,
    write_json,
)

RESOURCES_PER_PAGE = 200
SEARCHES_PER_BATCH = 20
# A server's index may lag behind its resources: asking for a little more loses nothing.
INDEX_LAG = timedelta(minutes=5)
# How servers say that a search is too wide for them.
_TOO_WIDE = (
    httpx.codes.BAD_REQUEST,
    httpx.codes.FORBIDDEN,
    httpx.codes.UNPROCESSABLE_ENTITY,
)


class _Named(msgspec.Struct):
    id: str = ""


def begin(session: Session, request: ExportRequest) -> Completed:
    """The searches that bring what is asked for, as the manifest of an export.

    Its instant is the server's, from before the first search: what changes later comes next time.

    Raises:
        TemporaryError: the server cannot be reached now.
        ProtocolError: it does not say what time it is.

    Source: FHIR R4, "Search"; RFC 9110, section 6.6.1.
    """
    base_url = session.connection.base_url
    url = f"{base_url}/{request.resource_types[0]}?_count=1"  # refused or not, it is dated
    with network_errors(url):
        reply = session.http.get(url, headers={"Accept": FHIR_JSON}, auth=session.auth)
    require_not_busy(reply)
    try:
        at = parsedate_to_datetime(reply.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        raise ProtocolError(
            "the server does not say what time it is (no Date in its replies)",
            "ask the provider's support; without it later searches would miss changes",
        ) from None
    document = {
        "transactionTime": format_instant(at),
        "requiresAccessToken": True,
        "output": [
            {"type": resource_type, "url": f"{base_url}/{resource_type}?{conditions}"}
            for resource_type in request.resource_types
            for conditions in _conditions(request, resource_type)
        ],
    }
    return Completed(parse_manifest(document, base_url), document)


def _conditions(request: ExportRequest, resource_type: str) -> Iterator[str]:
    """The query of each search for a type: one, or one for each filter."""
    common = {"_count": str(RESOURCES_PER_PAGE)}
    if request.since is not None:
        common["_lastUpdated"] = f"ge{format_instant(request.since - INDEX_LAG)}"
    filters = [
        text.partition("?")[2]
        for text in request.restriction.type_filters
        if text.startswith(f"{resource_type}?")
    ]
    for narrowed in filters or [""]:
        yield "&".join(part for part in (narrowed, urlencode(common, safe=":")) if part)


def find(
    session: Session, url: str, stem: Path, limits: Limits, patient_ids: Sequence[str] = ()
) -> Downloaded:
    """Write what the search at ``url`` finds to ``<stem>.ndjson``, a line for each resource.

    With ``patient_ids`` each patient is asked for alone; so is every patient we know of where the
    server finds the search too wide.

    Raises:
        SearchRefusedError: the server does not take the search.
        TemporaryError: the server cannot be reached, or forgot the page; what has come is kept.
        ProtocolError: there is more than is allowed, or the pages run in a circle.
        MachineError: the disk is full.
    """
    trail = _Trail(stem)
    place = trail.place() or trail.begin(_by_patient(url, patient_ids) if patient_ids else [url])
    try:
        _follow(session, trail, place, limits)
    except SearchRefusedError as error:
        if error.status_code not in _TOO_WIDE or trail.questions() != [url]:
            raise
        narrow = _by_patient(url, known_patients(session))
        _follow(session, trail, trail.begin(narrow), limits)
    return trail.finish()


def known_patients(session: Session) -> list[str]:
    """The ids of a connection's patients: those its Group names, or else all that a search finds.

    Raises:
        ConfigurationError: there is no such list.
    """
    if members := _members(session):
        return members
    try:
        found = list(search(session, f"Patient?_elements=id&_count={RESOURCES_PER_PAGE}"))
    except SearchRefusedError as error:
        raise ConfigurationError(
            f"the server wants every search to name a patient (HTTP {error.status_code})",
            "name patients: set ECW_GROUP_ID to a Group that lists them, or ecw export --patient",
        ) from error
    return [one for one in map(_id_of, found) if one]


def _members(session: Session) -> list[str]:
    connection = session.connection
    if not connection.group_id:
        return []
    group = session.get_json(f"{connection.base_url}/Group/{connection.group_id}")
    members = [one for one in group.get("member") or () if isinstance(one, dict)]
    named = [str((one.get("entity") or {}).get("reference", "")) for one in members]
    return [text.rpartition("/")[2] for text in named if "Patient/" in text]


def _id_of(text: bytes) -> str:
    try:
        return str(msgspec.json.decode(text, type=_Named).id)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _by_patient(url: str, patient_ids: Sequence[str]) -> list[str]:
    """The search once for each patient.

    Source: FHIR R4, "Compartment Patient": nearly every type in it has the parameter `patient`.
    """
    name = "_id" if httpx.URL(url).path.endswith("/Patient") else "patient"
    return [f"{url}&{urlencode({name: one})}" for one in patient_ids]


@dataclass(frozen=True)
class _Place:
    """How far a file has come: which question, which of its pages is next, how many bytes."""

    question: int = 0
    page: str | None = None
    size_bytes: int = 0


class _Trail:
    """A file that is being found, and beside it the questions and the place."""

    def __init__(self, stem: Path) -> None:
        self._path = stem.with_name(stem.name + PLAIN)
        self._part = part_path(self._path)
        self._questions = stem.with_name(stem.name + ".questions.json")
        self._place = stem.with_name(stem.name + ".place.json")

    def place(self) -> _Place | None:
        """Where an earlier run stopped; None where there is nothing to go on with."""
        try:
            place = _Place(**read_json(self._place))
            is_there = self._part.stat().st_size >= place.size_bytes and self._questions.exists()
        except (OSError, BadDataError):
            return None
        return place if is_there else None

    def begin(self, questions: Sequence[str]) -> _Place:
        """Begin the file anew with these questions."""
        write_json(self._questions, list(questions))
        self._place.unlink(missing_ok=True)
        return _Place()

    def questions(self) -> list[str]:
        return list(read_json(self._questions))

    def write(self, place: _Place, found: Sequence[bytes]) -> int:
        """Add a page at a place; returns the size then."""
        private_folder(self._part.parent)
        with machine_errors(self._part):
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT, PRIVATE_FILE_MODE)
            with os.fdopen(descriptor, "wb") as stream:
                stream.truncate(place.size_bytes)
                stream.seek(place.size_bytes)
                stream.writelines(b" ".join(text.splitlines()) + b"\n" for text in found)
                return stream.tell()

    def remember(self, place: _Place) -> None:
        write_json(self._place, asdict(place))

    def finish(self) -> Downloaded:
        """Give the file its name: it is whole."""
        with machine_errors(self._part):
            with self._part.open("ab") as stream:
                os.fsync(stream.fileno())
            rename_whole(self._part, self._path)
        for done in (self._place, self._questions):
            done.unlink(missing_ok=True)
        return Downloaded(self._path, sha256_of(self._path), self._path.stat().st_size)


def _follow(session: Session, trail: _Trail, place: _Place, limits: Limits) -> None:
    """Ask every question that is left, page by page."""
    questions = trail.questions()
    if not questions:
        trail.write(place, [])
    answers = _Answers(session, questions)
    seen: set[str] = set()
    while place.question < len(questions):
        url = place.page or questions[place.question]
        if url in seen:
            raise ProtocolError(
                f"the pages of the search run in a circle after page {len(seen)}",
                "ask the provider's support",
            )
        seen.add(url)
        found, following = answers.of(place) or _page(session, trail, place, url)
        size = trail.write(place, found)
        if size > limits.file_bytes:
            raise ProtocolError(
                f"a search brings more than {limits.file_bytes >> 20} MB",
                "raise ECW_MAX_FILE_MEGABYTES if the server really has so much",
            )
        place = _Place(place.question + (following is None), following, size)
        trail.remember(place)


class _Answers:
    """The first pages of questions that wait, asked together where the server takes batches.

    Patient by patient a practice is thousands of questions, and each request counts.
    """

    def __init__(self, session: Session, questions: Sequence[str]) -> None:
        self._session, self._questions = session, questions
        self._known: dict[str, SearchPage] = {}
        self._asked = 0  # the questions before that were in a batch: what it lacks was refused
        self._asks = len(questions) > 2 and takes_batches(session)

    def of(self, place: _Place) -> SearchPage | None:
        """The page at a place; None where it is to be asked for alone."""
        if place.page is not None or not self._asks:
            return None
        if place.question >= self._asked:
            self._asked = place.question + SEARCHES_PER_BATCH
            waiting = self._questions[place.question : self._asked]
            self._known = first_pages(self._session, waiting)
            self._asks = bool(self._known)
        return self._known.get(self._questions[place.question])


def _page(
    session: Session, trail: _Trail, place: _Place, url: str
) -> tuple[list[bytes], str | None]:
    try:
        return search_page(session, url)
    except SearchRefusedError as error:
        if place.page is None:
            raise
        trail.begin(trail.questions())
        raise TemporaryError(
            f"the server no longer knows a page of the search (HTTP {error.status_code})",
            "run again: it is searched from its beginning",
        ) from error
