"""Functions on text that SQL has not as FHIRPath means them.

Source: FHIRPath 2.0, "String Manipulation".
"""

import re

_LITERAL = re.compile(r"'[^']*'$")
# Alternatives, flags, quoted signs, and a begin that need not be there.
_MAY_NOT_BE_BOUND = re.compile(r"\||\(\?|\\Q|^'\^[*?{]")


def substring(text: str, start: str, length: str = "") -> str:
    # An empty length is as if none was given.
    most = f", greatest(coalesce({length}, length({text})), 0)" if length else ""
    cut = f"substring({text}, {start} + 1{most})"
    return f"CASE WHEN {start} >= 0 AND {start} < length({text}) THEN {cut} END"


def replace(text: str, pattern: str, new: str) -> str:
    # FHIRPath puts the new text around every character when the pattern is empty.
    each = f"list_transform(str_split({text}, ''), lambda c: c || {new})"
    around = f"{new} || array_to_string({each}, '')"
    return f"CASE WHEN {pattern} = '' THEN {around} ELSE replace({text}, {pattern}, {new}) END"


def replace_matches(text: str, pattern: str, new: str) -> str:
    if pattern == "''":  # unlike replace(), as FHIRPath's own tests have it
        return text
    # To look for more matches where there can be one at most takes as long again.
    every = "" if _matches_once(pattern) else ", 'g'"
    return f"regexp_replace({text}, {pattern}, {_with_groups(new)}{every})"


def _matches_once(pattern: str) -> bool:
    """Whether a pattern is bound to the begin or the end of a text."""
    if not _LITERAL.match(pattern) or _MAY_NOT_BE_BOUND.search(pattern):
        return False
    return pattern.startswith("'^") or (pattern.endswith("$'") and not pattern.endswith("\\$'"))


def _with_groups(new: str) -> str:
    """A replacement whose groups are \\1 for DuckDB, as FHIRPath's are $1."""
    if _LITERAL.match(new):
        return re.sub(r"\$([0-9])", r"\\\1", new.replace("\\", "\\\\"))
    escaped = f"replace({new}, '\\', '\\\\')"
    return f"regexp_replace({escaped}, '\\$(\\d)', '\\\\\\1', 'g')"


def join(items: str, separator: str = "''") -> str:
    between = separator if separator.startswith("'") else f"coalesce({separator}, '')"
    return f"CASE WHEN len({items}) > 0 THEN array_to_string({items}, {between}) END"


def folded(text: str) -> str:
    """What is the same in texts that are equivalent: neither case nor kind of space matter."""
    return f"lower(trim(regexp_replace({text}, '\\s+', ' ', 'g')))"


def to_boolean(text: str) -> str:
    return (
        f"CASE WHEN lower({text}) IN ('true', 't', 'yes', 'y', '1', '1.0') THEN true"
        f" WHEN lower({text}) IN ('false', 'f', 'no', 'n', '0', '0.0') THEN false END"
    )
