"""A compiled view over resources in memory, for tests and small jobs.

Resources are written as NDJSON the way screening would write it, so that DuckDB reads them as it
does in the pipeline.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.fhir.structure import decimal_keys
from ecw_pipeline.sql_on_fhir.emitter import OTHER_TYPE, SEVERAL_VALUES, TOO_DEEP

if TYPE_CHECKING:
    import duckdb


class Runnable(Protocol):
    """What is needed of a compiled view."""

    def select(self, source: str) -> str: ...

    def from_ndjson(self, paths: Sequence[Path]) -> str: ...


@dataclass(frozen=True)
class ViewResult:
    """Column names in the table's order, and the rows."""

    columns: list[str]
    rows: list[dict[str, Any]]


def run_compiled(
    view: Runnable,
    resources: Iterable[Mapping[str, Any]],
    resource_type: str,
    decimal_columns: Iterable[str],
) -> ViewResult:
    """The rows of a view over those resources that are of its type."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "resources.ndjson"
        # Half a surrogate pair is written as its escape, which DuckDB refuses with the rest.
        with path.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            for resource in resources:
                if resource.get("resourceType") == resource_type:
                    stream.write(screened_line(resource) + "\n")
        connection.execute("SET TimeZone = 'UTC'")
        try:
            cursor = connection.execute(view.select(view.from_ndjson([path])))
            values = cursor.fetchall()
        except duckdb.Error as error:
            raise unfit_data("the view fails on this data", error) from None
        description: Any = cursor.description
    columns = [str(item[0]) for item in description]
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    for name in decimal_columns:
        for row in rows:
            row[name] = _exact(row[name])
    return ViewResult(columns, rows)


def unfit_data(subject: str, error: "duckdb.Error") -> UnsupportedViewError:
    """The refusal of a view that fails on its data.

    DuckDB's own text may quote values; only what the view's SQL says itself is passed on.
    """
    said = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    is_ours = said.endswith((SEVERAL_VALUES, OTHER_TYPE, TOO_DEEP))
    if said.endswith(SEVERAL_VALUES):
        advice = "where there are several values use first(), forEach or collection: true"
    elif said.endswith(OTHER_TYPE):
        advice = "choose the type in the path, as in value.ofType(Quantity)"
    else:
        advice = "look at the resources: some value is not what its element's type allows"
    return UnsupportedViewError(f"{subject} ({said if is_ours else type(error).__name__})", advice)


def screened_line(resource: Mapping[str, Any]) -> str:
    """One resource as a line, its decimals quoted with their exact digits."""
    return json.dumps(_screened(resource, "", decimal_keys()), ensure_ascii=False)


def _screened(value: Any, key: str, decimals: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _screened(inner, name, decimals) for name, inner in value.items()}
    if isinstance(value, list):
        return [_screened(inner, key, decimals) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    if key in decimals:
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def _exact(value: Any) -> Any:
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return None if value is None else Decimal(value)
