"""The key a reference points to, in SQL: ``Patient/p1`` → ``p1``.

Relative, absolute and versioned references have a key. A logical reference, a ``#contained`` one
and a ``urn:`` have none that a table of resources would hold.

Source: SQL on FHIR 2.0, "getReferenceKey".
"""

from ecw_pipeline.sql_on_fhir.quoting import literal

_ID = r"[A-Za-z0-9\-.]{1,64}"
_VERSION = rf"(?:/_history/{_ID})?"


def key(reference: str) -> str:
    """The key of a reference to any type."""
    return _extracted(reference, "[A-Z][A-Za-z]*")


def key_to(reference: str, resource_type: str) -> str:
    """The key of a reference to one type, already quoted; empty for another type."""
    return _extracted(reference, resource_type.strip("'"))


def _extracted(reference: str, resource_type: str) -> str:
    pattern = literal(rf"^(?:.*/)?{resource_type}/({_ID}){_VERSION}$")
    return f"nullif(regexp_extract({reference}, {pattern}, 1), '')"
