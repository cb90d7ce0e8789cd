"""Which lines a table cannot read. Asked only after a table has failed, so it may be slow."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import duckdb

from ecw_pipeline.landing.ndjson import numbered_lines
from ecw_pipeline.quoting import identifier, literal

BATCH_LINES = 4096
_LINE_NUMBER = re.compile(rb'^\{"ecw_line":(\d+),')


def unreadable_lines(screened: Path, read_columns: Mapping[str, str]) -> frozenset[int]:
    """The numbers, in the received file, of lines that cannot be read as ``read_columns``.

    Twice the same key in one object is found here: the screening decoder does not mind it.
    """
    lines = (line for _, line in numbered_lines(screened))
    refused: list[bytes] = []
    with (
        duckdb.connect() as connection,
        tempfile.NamedTemporaryFile(dir=screened.parent, suffix=".part") as scratch,
    ):
        columns = ", ".join(f"{identifier(n)}: {literal(t)}" for n, t in read_columns.items())
        query = (
            f"SELECT max(hash(t)) FROM read_json({literal(scratch.name)},"
            f" format = 'newline_delimited', maximum_object_size = 1073741824,"
            f" columns = {{{columns}}}) AS t"
        )
        if _can_read(connection, query.replace(literal(scratch.name), literal(str(screened)))):
            return frozenset()
        while batch := list(islice(lines, BATCH_LINES)):
            refused.extend(_refused(connection, query, Path(scratch.name), batch))
    return frozenset(int(found[1]) for line in refused if (found := _LINE_NUMBER.match(line)))


def _can_read(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    try:
        connection.execute(query)
    except duckdb.Error:
        return False
    return True


def _refused(
    connection: duckdb.DuckDBPyConnection, query: str, scratch: Path, lines: Sequence[bytes]
) -> Iterator[bytes]:
    """Halve what cannot be read until single lines are left."""
    scratch.write_bytes(b"\n".join(lines))
    try:
        connection.execute(query)
    except duckdb.Error:
        if len(lines) == 1:
            yield lines[0]
            return
        middle = len(lines) // 2
        yield from _refused(connection, query, scratch, lines[:middle])
        yield from _refused(connection, query, scratch, lines[middle:])
