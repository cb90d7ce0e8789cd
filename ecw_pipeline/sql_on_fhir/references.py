"""The key a reference points to, in SQL: ``Patient/p1`` → ``p1``.

Relative, absolute and versioned references have a key. A logical reference, a ``#contained`` one
and a ``urn:`` have none that a table of resources would hold.

Source: SQL on FHIR 2.0, "getReferenceKey".
"""

from ecw_pipeline.quoting import literal

_ID = r"[A-Za-z0-9\-.]{1,64}"
_VERSION = rf"(?:/_history/{_ID})?"


def key(reference: str) -> str:
    """The key of a reference to any type."""
    plain = (
        f"split_part({reference}, '/', 1) BETWEEN 'A' AND 'Zz' "
        f"AND split_part({reference}, '/', 3) = ''"
    )
    return _key(plain, f"split_part({reference}, '/', 2)", reference, "[A-Z][A-Za-z]*")


def key_to(reference: str, resource_type: str) -> str:
    """The key of a reference to one type, already quoted; empty for another type."""
    name = resource_type.strip("'")
    rest = f"substring({reference}, {len(name) + 2})"
    plain = f"starts_with({reference}, {literal(name + '/')}) AND NOT contains({rest}, '/')"
    return _key(plain, rest, reference, name)


def _key(is_plain: str, plain_key: str, reference: str, type_pattern: str) -> str:
    """``Type/id`` is cut; only other forms pay for the regular expression (six times slower)."""
    pattern = literal(rf"^(?:.*/)?{type_pattern}/({_ID}){_VERSION}$")
    extracted = f"regexp_extract({reference}, {pattern}, 1)"
    return f"nullif(CASE WHEN {is_plain} THEN {plain_key} ELSE {extracted} END, '')"
