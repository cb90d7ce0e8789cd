"""The two doors by which text enters SQL: names through `identifier`, values through `literal`.

Nothing else in the compiler writes a quote around something it was given.
"""

from ecw_pipeline.errors import UnsupportedViewError


def identifier(name: str) -> str:
    """Quote a name: ``te"xt`` → ``"te""xt"``.

    Raises:
        UnsupportedViewError: the name is empty or holds a NUL, which SQL text cannot carry.
    """
    if not name:
        raise UnsupportedViewError("a name in SQL cannot be empty")
    return '"' + _without_nul(name).replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a value: ``it's`` → ``'it''s'``.

    Raises:
        UnsupportedViewError: the text holds a NUL or half a surrogate pair.
    """
    return "'" + _without_nul(text).replace("'", "''") + "'"


def qualified(name: str) -> str:
    """Quote a table's name part by part: ``core.patient`` → ``"core"."patient"``."""
    return ".".join(identifier(part) for part in name.split("."))


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise UnsupportedViewError("a NUL character cannot be written in SQL")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnsupportedViewError("half a surrogate pair cannot be written in SQL") from error
    return text
