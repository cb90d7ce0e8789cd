"""Provider presets, and connections made of a preset and settings.

A preset is data: every difference between services is a value here.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.settings import AuthKind, ConnectionSettings, ExportLevel


@dataclass(frozen=True)
class Window:
    """At most ``limit`` requests in ``seconds``: in any such span, or in each by the wall clock."""

    limit: int
    seconds: int
    kind: Literal["rolling", "calendar"] = "rolling"


@dataclass(frozen=True)
class Provider:
    """What all practices of one service have in common.

    Args:
        scope_types: the types to ask scopes for where none is wanted by name; none is ``*``.
        odd_scopes: types whose scope is spelled with this suffix.
        support: who helps, in words.
    """

    name: str
    default_endpoint: str
    auth_kind: AuthKind
    level: ExportLevel
    windows: tuple[Window, ...]
    scope_types: tuple[str, ...] = ()
    odd_scopes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    support: str = ""


@dataclass(frozen=True)
class Connection:
    """One practice, ready to be spoken to.

    Args:
        export_parameters: names and values that go with every kick-off as they are.
    """

    connection_id: str
    provider: Provider
    base_url: str
    client_id: str
    client_secret: SecretStr | None
    private_key_file: Path | None
    key_id: str
    auth_kind: AuthKind
    token_url: str
    jwks_url: str
    level: ExportLevel
    group_id: str
    export_parameters: tuple[tuple[str, str], ...]
    resource_types: tuple[str, ...]
    scopes: str
    redirect_uri: str
    login_scopes: str
    windows: tuple[Window, ...]
    file_hosts: tuple[str, ...]


SECOND, MINUTE, DAY = 1, 60, 86_400

# What each export decides for itself; `_elements` and `_until` would bring parts of resources and
# of time that watermarks take for the whole.
_OWN_PARAMETERS = frozenset(
    {"_type", "_since", "_until", "_typeFilter", "_elements", "patient", "organizeOutputBy"}
)

# 7 a second and 14 in any 2 s, and 100,000 a day: the service's published limits.
# 250 a wall-clock minute: what the live service counts, and the one that binds in long exports.
BRIEF_WINDOWS = (Window(7, SECOND), Window(14, 2 * SECOND), Window(100_000, DAY, "calendar"))
LIVE_WINDOWS = (*BRIEF_WINDOWS, Window(250, MINUTE, "calendar"))

# What the live service lets a backend client read; some of it by `.r` scopes only.
_READ_BY_R = """
    Binary Claim Coverage Media MedicationDispense QuestionnaireResponse RelatedPerson
    ServiceRequest Specimen
"""
_READ_BY_READ = """
    AllergyIntolerance Basic CarePlan CareTeam ChargeItem Condition Device DiagnosticReport
    DocumentReference Encounter FamilyMemberHistory Goal Group Immunization Location Medication
    MedicationAdministration MedicationRequest Observation OperationDefinition Organization
    Patient Practitioner PractitionerRole Procedure Provenance Questionnaire
"""

_SUPPORT = (
    "fhirsupport@eclinicalworks.com, status.eclinicalworks.com,"
    " developer.eclinicalworks.com, docs.eclinicalworks.com/fhir"
)

PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(
            name="eclinicalworks",
            default_endpoint="https://fhir.eclinicalworks.com/fhir/r4",
            auth_kind="client_secret_basic",
            level="patient",
            windows=LIVE_WINDOWS,
            support=_SUPPORT,
        ),
        Provider(
            name="eclinicalworks-live",
            default_endpoint="",
            auth_kind="private_key_jwt",
            level="group",
            windows=LIVE_WINDOWS,
            support=_SUPPORT,
            scope_types=tuple((_READ_BY_READ + _READ_BY_R).split()),
            odd_scopes=(("r", tuple(_READ_BY_R.split())),),
        ),
        Provider(
            name="smart-sandbox",
            default_endpoint="http://127.0.0.1:8090/fhir/r4",
            auth_kind="client_secret_basic",
            level="system",
            windows=BRIEF_WINDOWS,
        ),
    )
}


def connect(settings: ConnectionSettings) -> Connection:
    """Complete a connection's settings with its provider's preset.

    Raises:
        ConfigurationError: something needed is missing or contradictory; the message names it.
    """
    provider = _provider(settings)
    level = settings.level or provider.level
    by_key: AuthKind | None = "private_key_jwt" if settings.private_key_file else None
    auth_kind = settings.auth_kind or by_key or provider.auth_kind
    secret = settings.secret
    _require(settings, secret, level, auth_kind)
    return Connection(
        connection_id=settings.connection_id,
        provider=provider,
        base_url=checked_url(settings.fhir_endpoint or provider.default_endpoint),
        client_id=settings.client_id,
        client_secret=secret,
        private_key_file=settings.private_key_file,
        key_id=settings.key_id,
        auth_kind=auth_kind,
        token_url=settings.token_url,
        jwks_url=settings.jwks_url,
        level=level,
        group_id=settings.group_id,
        export_parameters=_export_parameters(settings.export_parameters),
        resource_types=settings.resource_types,
        scopes=settings.scopes,
        redirect_uri=settings.redirect_uri,
        login_scopes=settings.login_scopes,
        windows=tuple(map(parse_window, settings.windows)) or provider.windows,
        file_hosts=settings.file_hosts,
    )


def _provider(settings: ConnectionSettings) -> Provider:
    if settings.provider not in PROVIDERS:
        raise ConfigurationError(
            f"ECW_PROVIDER is {settings.provider!r}, which is no preset",
            f"use one of: {', '.join(PROVIDERS)}",
        )
    return PROVIDERS[settings.provider]


def _require(
    settings: ConnectionSettings, secret: SecretStr | None, level: ExportLevel, auth_kind: AuthKind
) -> None:
    name = settings.connection_id
    provider = PROVIDERS[settings.provider]
    needs = {
        "ECLINICALWORKS_FHIR_ENDPOINT": settings.fhir_endpoint or provider.default_endpoint,
        "ECLINICALWORKS_CLIENT_ID": settings.client_id or auth_kind == "none",
        "ECLINICALWORKS_CLIENT_SECRET": secret or auth_kind in ("private_key_jwt", "none"),
        "ECW_PRIVATE_KEY_FILE": settings.private_key_file or auth_kind != "private_key_jwt",
        "ECW_GROUP_ID": settings.group_id or level != "group",
    }
    missing = [setting for setting, value in needs.items() if not value]
    if missing:
        raise ConfigurationError(
            f"connection {name!r} lacks {', '.join(missing)}",
            "set it in the environment or .env (README, Your own practice), or try `ecw demo`",
        )


def _export_parameters(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``_outputFormat=application/fhir+ndjson&…``; a plus is a plus, as people write it."""
    try:
        parameters = parse_qsl(text.replace("+", "%2B"), strict_parsing=bool(text))
    except ValueError:
        raise ConfigurationError(
            f"ECW_EXPORT_PARAMETERS is no query string: {text!r}",
            "write it like _outputFormat=ndjson&includeAssociatedData=LatestProvenanceResources",
        ) from None
    if own := sorted(_OWN_PARAMETERS & {name for name, _ in parameters}):
        raise ConfigurationError(
            f"ECW_EXPORT_PARAMETERS may not say {', '.join(own)}: each export decides that itself",
            "leave it out; see `ecw export --help` for exports of a part",
        )
    return tuple(parameters)


def is_loopback(host: str | None) -> bool:
    """Whether a URL's host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:  # a name, 127.0.0.1.example.org say
        return False


def checked_url(url: str) -> str:
    """A FHIR base URL as it is used.

    Raises:
        ConfigurationError: it is none, or plain http to another machine.
    """
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigurationError(
            f"ECLINICALWORKS_FHIR_ENDPOINT is not a URL: {url!r}",
            "write it like https://fhir.example.org/fhir/r4",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"ECLINICALWORKS_FHIR_ENDPOINT uses plain http to {parts.hostname}",
            "use https:// (plain http is allowed to this machine only)",
        )
    return url.rstrip("/")


_SPANS = {"s": SECOND, "min": MINUTE, "day": DAY}


def parse_window(text: str) -> Window:
    """Read ``7/1s``, ``250/1min`` or ``100000/1day``; minutes and days go by the wall clock.

    Raises:
        ConfigurationError: the text is not of that form.
    """
    limit, _, span = text.partition("/")
    unit = span.lstrip("0123456789")
    count = span.removesuffix(unit) or "1"
    if not limit.isdecimal() or int(limit) < 1 or unit not in _SPANS or int(count) < 1:
        raise ConfigurationError(
            f"ECW_RATE_WINDOWS: {text!r} is not a window", "write 7/1s,14/2s,250/1min,100000/1day"
        )
    kind: Literal["rolling", "calendar"] = "rolling" if unit == "s" else "calendar"
    return Window(int(limit), int(count) * _SPANS[unit], kind)
