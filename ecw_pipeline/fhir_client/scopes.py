"""Which scopes to ask for, and what a grant of scopes lets us read. Pure.

Servers spell the permission to read in three ways: ``.read`` (SMART 1), ``.rs`` and ``.r``
(SMART 2). Some know a type in one spelling only, and refuse a whole request for one scope they do
not know.

Source: SMART App Launch 2.2, "Scopes for requesting FHIR Resources".
"""

from collections.abc import Iterable, Sequence

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir_client.providers import Connection

SPELLINGS = ("read", "rs", "r")
ANY_TYPE = "*"
# Their documents are Binaries, which are read one by one also where no export brings them.
_WITH_DOCUMENTS = frozenset({"Communication", "DiagnosticReport", "DocumentReference", "Media"})
SYSTEM, PATIENT, USER = "system/", "patient/", "user/"


def candidates(
    connection: Connection, supported: Iterable[str], context: str = SYSTEM
) -> list[tuple[str, ...]]:
    """For each type we want, the scopes that may let us read it, the likeliest first.

    A server that says which scopes it supports is believed; types without one are left out.

    Raises:
        ConfigurationError: it supports none for any of the types.
    """
    known = tuple(scope for scope in supported if scope.startswith(context))
    wanted = _types(connection, known, context)
    found = [_spellings(connection, name, known, context) for name in wanted]
    usable = [spellings for spellings in found if spellings]
    if not usable:
        raise ConfigurationError(
            "the server supports no scope to read any of the types"
            f" {', '.join(connection.resource_types)}",
            "set ECW_RESOURCE_TYPES to types it has scopes for, or ECW_SCOPES (for `ecw login`:"
            " ECW_LOGIN_SCOPES): ecw doctor",
        )
    return usable


def _types(connection: Connection, known: Sequence[str], context: str) -> Iterable[str]:
    wanted = connection.resource_types or connection.provider.scope_types
    if not wanted:
        wanted = (ANY_TYPE,)
        if known and not _spellings(connection, ANY_TYPE, known, context):
            wanted = tuple(map(type_of, known))
    # Of a group that is searched, the members are read.
    needs_group = connection.group_id and connection.level in ("group", "search")
    needs_group = needs_group and context == SYSTEM and ANY_TYPE not in wanted
    needed = ["Group"] if needs_group else []
    if _WITH_DOCUMENTS.intersection(wanted) and "Binary" in map(type_of, known):
        needed.append("Binary")
    return dict.fromkeys((*wanted, *needed))


def _spellings(
    connection: Connection, name: str, known: Sequence[str], context: str
) -> tuple[str, ...]:
    own = [suffix for suffix, types in connection.provider.odd_scopes if name in types]
    suffixes = dict.fromkeys((*own, *SPELLINGS))
    possible = [(f"{context}{name}.{s}", f"{context}{ANY_TYPE}.{s}") for s in suffixes]
    if not known:
        return tuple(scope for scope, _ in possible)
    named = tuple(scope for scope, _ in possible if scope in known)
    # A server that lists the wildcard alone mostly grants what it stands for.
    return named or tuple(scope for scope, wildcard in possible if wildcard in known)


def type_of(scope: str) -> str:
    """The resource type that a scope is about."""
    return scope.rpartition("/")[2].partition(".")[0]


def allows(granted: str, resource_type: str) -> bool:
    """Whether a grant lets us read a type; one that names no scope to read is believed to."""
    scopes = [scope for scope in granted.split() if scope.startswith((SYSTEM, PATIENT, USER))]
    return not scopes or any(
        type_of(scope) in (resource_type, ANY_TYPE) and _reads(scope) for scope in scopes
    )


def _reads(scope: str) -> bool:
    suffix = scope.rpartition("/")[2].partition(".")[2].partition("?")[0]
    return suffix in ("read", "*") or suffix.lstrip("c").startswith("r")


def not_granted(asked: str, granted: str) -> tuple[str, ...]:
    """The scopes that were asked for and not given, by type and not by spelling."""
    return tuple(scope for scope in asked.split() if not allows(granted, type_of(scope)))
