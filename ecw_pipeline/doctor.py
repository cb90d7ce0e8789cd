"""Which link of the chain to a server is broken: from its name to the kick-off of an export.

Each check says one thing in words, and what to do where it is wrong. It speaks to the server as
an export does, pays the same budget, and starts no export that it does not cancel.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import httpx

from ecw_pipeline.bulk_export.client import BulkExportClient, allowed_methods
from ecw_pipeline.bulk_export.messages import unescaped
from ecw_pipeline.errors import ConfigurationError, EcwError, ProtocolError, TemporaryError
from ecw_pipeline.fhir_client.auth import BearerAuth, TokenSource
from ecw_pipeline.fhir_client.budget import Budget
from ecw_pipeline.fhir_client.discovery import discover
from ecw_pipeline.fhir_client.keys import KEY_ALGORITHMS, connection_key, key_id, public_half
from ecw_pipeline.fhir_client.providers import Connection, connect
from ecw_pipeline.fhir_client.scopes import not_granted
from ecw_pipeline.fhir_client.search import SearchRefusedError, search_page
from ecw_pipeline.fhir_client.session import Session, open_session
from ecw_pipeline.fhir_client.transport import (
    ONCE,
    json_object,
    network_errors,
    require_not_busy,
)
from ecw_pipeline.fhir_client.user_tokens import UserTokens
from ecw_pipeline.settings import ConnectionSettings
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.offers import offer_of

Status = Literal["ok", "warning", "failed"]

CONNECT_SECONDS = 15.0
# Assertions and tokens live minutes: clocks that differ by more make them stale or not yet valid.
HARMLESS_SKEW_SECONDS = 30.0
# So much of a refusal is searched for what it complains of.
MOST_TOLD = 10_000


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    connection_id: str
    link: str
    status: Status
    said: str
    next_step: str = ""
    exit_code: int = 0


class _Doubt(Exception):  # noqa: N818 - not an error: the chain holds, but look at it
    """Something to look at that does not break the chain."""

    def __init__(self, said: str, next_step: str) -> None:
        super().__init__(said)
        self.said, self.next_step = said, next_step


@dataclass(frozen=True)
class Patient:
    """A connection that is being examined."""

    lake: Lake
    session: Session

    @property
    def connection(self) -> Connection:
        return self.session.connection

    @property
    def client(self) -> BulkExportClient:
        return BulkExportClient(self.session)


def examine(lake: Lake, settings: ConnectionSettings) -> Iterator[Finding]:
    """What a connection's settings lack; where they are whole, how its chain holds."""
    try:
        connection = connect(settings)
    except ConfigurationError as error:
        yield _broken(settings.connection_id, "settings", error)
    else:
        yield from examine_chain(lake, connection)


def examine_chain(lake: Lake, connection: Connection) -> Iterator[Finding]:
    """Check one link after the other; what a broken one makes pointless is left out."""
    clock = lake.clock
    with (
        TemporaryDirectory() as folder,  # a token of its own: the one in use tells of the past
        open_session(connection, lake.folder, clock) as session,
    ):
        if session.tokens:
            path = Path(folder) / "token.json"
            tokens = TokenSource(connection, session.http, path, clock)
            session = replace(session, tokens=tokens, auth=BearerAuth(tokens))
        patient = Patient(lake, session)
        for check in CHAIN:
            finding = _look(check, patient)
            yield finding
            if finding.status == "failed" and check in VITAL:
                return


def _look(check: Callable[[Patient], str], patient: Patient) -> Finding:
    name = patient.connection.connection_id
    link = check.__name__.strip("_").replace("_", " ")
    try:
        return Finding(name, link, "ok", check(patient))
    except _Doubt as doubt:
        return Finding(name, link, "warning", doubt.said, doubt.next_step)
    except EcwError as error:
        return _broken(name, link, error)


def _broken(name: str, link: str, error: EcwError) -> Finding:
    return Finding(name, link, "failed", error.message, error.next_step, error.exit_code)


def _address(patient: Patient) -> str:
    url = httpx.URL(patient.connection.base_url)
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TemporaryError(
            f"the name {url.host} does not resolve",
            "check ECLINICALWORKS_FHIR_ENDPOINT for typing errors, and this machine's DNS",
        ) from error
    return f"{url.host} is {found[0][4][0]}"


def _network(patient: Patient) -> str:
    """TCP, and TLS where it is https: by the same client that exports."""
    url = patient.connection.base_url
    with network_errors(url):
        reply = patient.session.http.get(f"{url}/metadata", timeout=CONNECT_SECONDS)
    kind = "TLS" if httpx.URL(url).scheme == "https" else "plain http on this machine"
    return f"answers by {kind} (HTTP {reply.status_code})"


def _clock(patient: Patient) -> str:
    url = f"{patient.connection.base_url}/metadata"
    with network_errors(url):
        reply = patient.session.http.get(url)
    try:
        theirs = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return "the server does not say what time it is"
    ahead = (patient.session.clock.now() - theirs).total_seconds()
    if abs(ahead) > HARMLESS_SKEW_SECONDS:
        side = "ahead of" if ahead > 0 else "behind"
        raise _Doubt(
            f"this machine is {abs(ahead):.0f} s {side} the server",
            "set this machine's clock (NTP): assertions and tokens live minutes only",
        )
    return f"within {abs(ahead):.0f} s of the server's"


def _discovery(patient: Patient) -> str:
    if patient.connection.auth_kind == "none":
        return "no sign-in is configured"
    endpoint = discover(patient.connection, patient.session.http).token_endpoint
    return f"tokens are given at {endpoint}"


def _credentials(patient: Patient) -> str:
    said = _identity(patient)
    if Path(".env").exists() and Path(".env").stat().st_mode & 0o077:
        raise _Doubt("others may read .env, which may hold a secret", "chmod 600 .env")
    return said


def _identity(patient: Patient) -> str:
    connection = patient.connection
    if connection.auth_kind != "private_key_jwt":
        return f"client {connection.client_id or 'none'} by {connection.auth_kind}"
    key = connection_key(connection)
    kid, algorithm = key_id(key, connection.key_id), KEY_ALGORITHMS[key.key_type]
    supported = discover(connection, patient.session.http).algorithms
    if supported and algorithm not in supported:
        raise ConfigurationError(
            f"the key signs by {algorithm}, and the server takes {', '.join(supported)}",
            "make another: ecw keys new FILE --algorithm RS384 (or ES384)",
        )
    return f"client {connection.client_id} signs by {algorithm} with kid {kid}"


def _published_key(patient: Patient) -> str:
    """The key set that the provider reads: whether it holds our key under our kid."""
    connection = patient.connection
    if connection.auth_kind != "private_key_jwt":
        return "none is needed"
    if not connection.jwks_url:
        raise _Doubt(
            "not looked at", "set ECW_JWKS_URL to the address that is registered with the provider"
        )
    with network_errors(connection.jwks_url):
        reply = patient.session.http.get(connection.jwks_url)
    keys = json_object(reply).get("keys")
    ours = public_half(connection_key(connection))
    kid = connection.key_id or ours["kid"]
    published = {one.get("kid"): one for one in keys or () if isinstance(one, dict)}
    found = published.get(kid, {})
    if any(found.get(part) != ours.get(part) for part in ("kty", "n", "x", "y")):
        which = "another" if found else "no"
        raise ConfigurationError(
            f"{connection.jwks_url} (HTTP {reply.status_code}) has {which} key with kid {kid}",
            "publish what `ecw keys jwks` prints there",
        )
    return f"{connection.jwks_url} has kid {kid}"


def _token(patient: Patient) -> str:
    if patient.session.tokens is None:
        return "none is needed"
    token = patient.session.tokens.current()
    lifetime = token.expires_at - patient.session.clock.now().timestamp()
    return f"given, lives {lifetime:.0f} s"


def _scopes(patient: Patient) -> str:
    if patient.session.tokens is None:
        return "none are needed"
    token = patient.session.tokens.current()
    missing = not_granted(token.asked, token.scope)
    if missing:
        raise _Doubt(
            f"asked for and not granted: {' '.join(missing)}",
            "have them granted to this client, or leave the types out of ECW_RESOURCE_TYPES",
        )
    return token.asked


def _sign_in(patient: Patient) -> str:
    """Whether whoever signed in still is; nobody need be."""
    connection, session = patient.connection, patient.session
    path = patient.lake.folder.sign_in(connection.connection_id)
    if not path.exists():
        return "nobody signed in: searches ask as the client"
    token = UserTokens(connection, session.http, path, session.clock).current()
    return f"searches ask as who signed in: {token.scope}"


def _types(patient: Patient) -> str:
    offer = offer_of(patient.connection, patient.client)
    if not offer.available:
        raise ConfigurationError(
            f"nothing can be exported; {offer.in_words}", "set ECW_RESOURCE_TYPES to other types"
        )
    if offer.in_words:
        raise _Doubt(offer.in_words, "exports go on without these types; nothing need be done")
    return f"{len(offer.available)} types: {', '.join(offer.available)}"


def _group(patient: Patient) -> str:
    connection = patient.connection
    if connection.level != "group":
        return f"none is needed to export at {connection.level} level"
    url = f"{connection.base_url}/Group/{connection.group_id}"
    with network_errors(url):
        reply = patient.session.http.get(url, auth=patient.session.auth)
    if reply.status_code in (401, 403, 404):
        raise ConfigurationError(
            f"Group {connection.group_id} cannot be read (HTTP {reply.status_code})",
            "check ECW_GROUP_ID, and that the scope system/Group.read is granted",
        )
    return f"Group {connection.group_id} is there"


def _export_operation(patient: Patient) -> str:
    """What the server says of $export; servers that can do it do not all say so."""
    url = f"{patient.connection.base_url}/metadata"
    if patient.connection.level == "search":
        return "none is needed to read by search"
    try:
        statement = patient.session.get_json(url)
    except ProtocolError as error:
        raise _Doubt(error.message, "if the kick-off below is ok, it can be ignored") from error
    if any("export" in name.lower() for name in _operations(statement)):
        return "the CapabilityStatement names it"
    raise _Doubt(
        "the CapabilityStatement names no $export", "if the kick-off below is ok, it can be ignored"
    )


def _operations(statement: dict[str, Any]) -> Iterator[str]:
    for rest in statement.get("rest") or ():
        for holder in (rest, *(rest.get("resource") or ())):
            for operation in holder.get("operation") or ():
                yield f"{operation.get('name')} {operation.get('definition')}"


def _kick_off(patient: Patient) -> str:
    """Ask for an output format that no server has: who may export hears of the format only."""
    connection = patient.connection
    if any(e.is_open for e in patient.lake.ledger.exports(connection.connection_id)):
        return "an export is under way"
    if connection.level == "search":
        return _search(patient)
    levels = {"system": "", "patient": "Patient/", "group": f"Group/{connection.group_id}/"}
    url = f"{connection.base_url}/{levels[connection.level]}$export"
    with network_errors(url):
        reply = patient.session.http.get(
            url,
            params={"_type": "Patient", "_outputFormat": "application/x-none"},
            headers={"Accept": "application/fhir+json", "Prefer": "respond-async"},
            auth=patient.session.auth,
            extensions=ONCE,
        )
    require_not_busy(reply)
    if reply.status_code == httpx.codes.ACCEPTED:
        return _cancelled(patient, reply)
    if reply.status_code in (401, 403, 404, 405, 501) and "POST" not in allowed_methods(reply):
        raise ProtocolError(
            f"the server refuses $export at {connection.level} level (HTTP {reply.status_code})",
            "check ECW_EXPORT_LEVEL and ECW_GROUP_ID; ask the provider to permit bulk export",
        )
    told = reply.text[:MOST_TOLD].lower()
    if reply.is_client_error and "outputformat" not in told and "x-none" not in told:
        raise _Doubt(
            f"refused (HTTP {reply.status_code}), and not for the format that no server has:"
            " $export may not be known at this level",
            "try: ecw export; else check ECW_EXPORT_LEVEL and ECW_GROUP_ID",
        )
    if reply.is_server_error:
        raise _Doubt(
            f"the server answers HTTP {reply.status_code}: it may or may not be permitted",
            "try: ecw export",
        )
    return "permitted (tried with a format that no server has)"


def _cancelled(patient: Patient, reply: httpx.Response) -> str:
    """End an export at once that was asked for to be refused."""
    location = reply.headers.get("content-location")
    if not location:
        raise ProtocolError(
            "the server takes $export and does not say where to ask after it (no Content-Location)",
            "ask the provider's support: no export can be fetched",
        )
    if not patient.client.cancel(str(reply.url.join(unescaped(location)))):
        raise _Doubt(
            f"taken; the server at {reply.url.join(location).host} was not told to cancel it",
            "the next export may have to wait for that one; if that host is the provider's,"
            " add it to ECW_FILE_HOSTS",
        )
    return "taken, and cancelled at once"


def _budget(patient: Patient) -> str:
    connection, lake = patient.connection, patient.lake
    usage = Budget(
        lake.folder.budget(connection.connection_id), connection.windows, lake.clock
    ).usage()
    paused = usage.paused_until - lake.clock.now().timestamp()
    if paused > 0:
        raise _Doubt(f"the server wants silence for {paused:.0f} s", "wait: nothing is lost")
    windows = ", ".join(f"{w.limit} in {w.seconds} s" for w in connection.windows)
    used = max((count for _, count in usage.calendar_counts.values()), default=0)
    return f"at most {windows}; {used} used today"


CHAIN: tuple[Callable[[Patient], str], ...] = (
    _address,
    _network,
    _clock,
    _discovery,
    _credentials,
    _published_key,
    _token,
    _scopes,
    _sign_in,
    _types,
    _group,
    _export_operation,
    _kick_off,
    _budget,
)
VITAL = frozenset({_address, _network, _discovery, _credentials, _token})


def _search(patient: Patient) -> str:
    """Search for one patient; a server may want to be asked patient by patient."""
    try:
        search_page(patient.session, f"{patient.connection.base_url}/Patient?_count=1")
    except SearchRefusedError as error:
        if patient.connection.group_id:
            return "not of all patients: those of the Group are asked for one by one"
        raise _Doubt(
            error.message, "set ECW_GROUP_ID: then its patients are asked for one by one"
        ) from error
    return "permitted"
