"""The key a reference points to, in SQL: ``Patient/p1`` → ``p1``.

Relative, absolute and versioned references have a key. A logical reference, a ``#contained`` one
and a ``urn:`` have none that a table of resources would hold. ``Type/id`` is taken as it is: there
are servers whose ids break FHIR's rule for them, in resources and references alike.

Source: SQL on FHIR 2.0, "getReferenceKey".
"""

from ecw_pipeline.quoting import literal

_ANY_TYPE = "BETWEEN 'A' AND 'Zz'"


def key(reference: str) -> str:
    """The key of a reference to any type."""
    rest = f"substring({reference}, strpos({reference}, '/') + 1)"
    is_plain = f"{reference} {_ANY_TYPE} AND contains({reference}, '/')"
    return _key(is_plain, rest, reference, _ANY_TYPE)


def key_to(reference: str, resource_type: str) -> str:
    """The key of a reference to one type, already quoted; empty for another type."""
    name = resource_type.strip("'")
    rest = f"substring({reference}, {len(name) + 2})"
    is_plain = f"starts_with({reference}, {literal(name + '/')})"
    return _key(is_plain, rest, reference, f"= {literal(name)}")


def _key(is_plain: str, rest: str, reference: str, is_type: str) -> str:
    """``Type/id`` is cut; other forms pay for being taken apart (a regular expression that finds
    the id in them would cost thirty times as much).
    """
    unversioned = f"split_part({reference}, '/_history/', 1)"
    last = f"split_part({unversioned}, '/', -1)"
    is_other = (
        f"split_part({unversioned}, '/', -2) {is_type}"
        rf" AND regexp_full_match({last}, '[A-Za-z0-9\-._]+')"
    )
    return (
        f"CASE WHEN {is_plain} AND NOT contains({rest}, '/') AND NOT ends_with({reference}, '/')"
        f" THEN {rest} WHEN {is_other} THEN {last} END"
    )
