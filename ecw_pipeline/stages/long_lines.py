"""Lines longer than DuckDB's JSON reader takes by itself, such as a report with its PDF inside."""

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from ecw_pipeline.landing.ndjson import longest_line_bytes
from ecw_pipeline.sql_on_fhir.compiler import MAXIMUM_LINE_BYTES


def with_room_for_lines(screened: Sequence[Path], write: Callable[[int], int]) -> int:
    """Let ``write`` run with the usual room for a line, then with what the longest one needs.

    Each reading thread takes twice the room as memory, so that much is asked for only where the
    usual was too little; which line that is, DuckDB does not say.

    Raises:
        duckdb.Error: it was not for want of room.
    """
    try:
        return write(MAXIMUM_LINE_BYTES)
    except duckdb.InvalidInputException:
        longest = max(map(longest_line_bytes, screened), default=0)
        if longest < MAXIMUM_LINE_BYTES:
            raise
        return write(longest + 1)
