"""The two doors by which text enters SQL."""

from ecw_pipeline.errors import BadDataError


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier.

    Raises:
        BadDataError: the name is empty or holds NUL or half a surrogate pair.
    """
    if not name or not _can_be_sent(name):
        raise BadDataError(
            "a name in SQL is empty, or holds NUL or half a surrogate pair", "rename it"
        )
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a quoted SQL string.

    Raises:
        BadDataError: the text holds NUL or half a surrogate pair.
    """
    if not _can_be_sent(text):
        raise BadDataError("a text in SQL holds NUL or half a surrogate pair", "remove it")
    return "'" + text.replace("'", "''") + "'"


def _can_be_sent(text: str) -> bool:
    """Whether SQL text, which is UTF-8 and ends at NUL, can carry this."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
