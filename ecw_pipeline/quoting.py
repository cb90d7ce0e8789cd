"""The two doors by which text enters SQL."""

from ecw_pipeline.errors import BadDataError


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier.

    Raises:
        BadDataError: the name is empty or holds NUL, which SQL text cannot carry.
    """
    if not name or "\0" in name:
        raise BadDataError("a name in SQL is empty or holds a NUL character", "rename it")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a quoted SQL string.

    Raises:
        BadDataError: the text holds NUL, which SQL text cannot carry.
    """
    if "\0" in text:
        raise BadDataError("a text in SQL holds a NUL character", "remove it")
    return "'" + text.replace("'", "''") + "'"
