"""The two doors by which text enters SQL: names through `identifier`, values through `literal`.

Nothing else writes a quote around something it was given.
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
    """Quote a value: ``it's`` → ``'it''s'``; a line break is written ``E'\\n'``.

    The result is one line, so that laying out SQL cannot change a value.

    Raises:
        UnsupportedViewError: the text holds a NUL or half a surrogate pair.
    """
    quoted = "'" + _without_nul(text).replace("'", "''") + "'"
    if "\n" not in text:
        return quoted
    return "E" + quoted.replace("\\", "\\\\").replace("\n", "\\n")


def indented(sql: str) -> str:
    """Move SQL to the right. Only at line feeds, which no literal holds."""
    return "\n".join(f"  {line}" for line in sql.split("\n"))


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
