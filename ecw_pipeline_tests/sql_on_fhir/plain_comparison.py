"""One view over some resources, by the compiler and by the plain reading, in comparable form."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.sql_on_fhir.compiler import Column, compile_view, run_view
from ecw_pipeline.sql_on_fhir.emitter import SEVERAL_VALUES
from ecw_pipeline_tests.sql_on_fhir.plain_functions import Items, SeveralError
from ecw_pipeline_tests.sql_on_fhir.plain_values import Item, text_of
from ecw_pipeline_tests.sql_on_fhir.plain_views import plain_rows

View = Mapping[str, Any]
Row = dict[str, Any]
Resources = Sequence[Mapping[str, Any]]


def assert_agreement(view: View, resources: Resources) -> None:
    """The compiler gives the rows of the plain reading, or refuses several values as it does.

    An error in a row that a sibling select with no rows would remove may be told or not.
    """
    got, expected = compiled_outcome(view, resources), plain_outcome(view, resources)
    if got == SEVERAL_VALUES != expected:
        expected = plain_outcome(view, resources, is_eager=True)
    assert got == expected


def assert_same_outcome(view: View, resources: Resources, plainer: View) -> None:
    """Two views give the same rows; the order of the resources does not matter.

    Several values in a row that a product with no rows leaves out may be told of by one alone.
    """
    outcomes = compiled_outcome(view, resources), compiled_outcome(plainer, resources)
    if outcomes[0] != outcomes[1]:
        assert SEVERAL_VALUES in outcomes
        assert plain_outcome(plainer, resources, is_eager=True) == SEVERAL_VALUES


def compiled_outcome(view: View, resources: Resources) -> Any:
    """The rows, countable, or that a column got several values."""
    try:
        rows = run_view(view, resources).rows
    except UnsupportedViewError as error:
        if SEVERAL_VALUES not in str(error):
            raise
        return SEVERAL_VALUES
    columns = compile_view(view).columns
    return Counter(countable({c.name: found(row[c.name], c) for c in columns}) for row in rows)


def plain_outcome(view: View, resources: Resources, *, is_eager: bool = False) -> Any:
    try:
        rows = plain_result(view, resources, is_eager=is_eager)
    except SeveralError:
        return SEVERAL_VALUES
    return Counter(map(countable, rows))


def plain_result(view: View, resources: Resources, *, is_eager: bool = False) -> list[Row]:
    """The rows of the plain reading, values as the compiler's columns would hold them."""
    columns = compile_view(view).columns
    rows = plain_rows(view, resources, is_eager=is_eager)
    return [{c.name: expected(row[c.name], c) for c in columns} for row in rows]


def found(value: Any, column: Column) -> Any:
    if isinstance(value, list):
        return [found(each, column) for each in value]
    is_json = isinstance(value, str) and value.startswith('{"')
    return without_numbers(json.loads(value)) if is_json else value


def expected(items: Items | None, column: Column) -> Any:
    if items is None:
        return None
    values = [as_column(item, column) for item in items]
    if column.sql_type.endswith("[]"):
        return values
    return values[0] if values else None


def as_column(item: Item, column: Column) -> Any:
    match column.sql_type.removesuffix("[]"):
        case "JSON":
            return without_numbers(item.value)
        case "TIMESTAMP WITH TIME ZONE":
            moment = datetime.fromisoformat(item.value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # a day begins in UTC
        case "DATE":
            return date.fromisoformat(item.value)
        case "TIME":
            return time.fromisoformat(item.value)
        case "BOOLEAN" | "INTEGER" | "BIGINT":
            return item.value
        case "DOUBLE":
            return float(item.value)
    if column.fhir_type == "decimal" or column.sql_type.startswith("DECIMAL"):
        return Decimal(item.value)
    return without_numbers(item.value) if isinstance(item.value, dict) else text_of(item)


def without_numbers(value: Any) -> Any:
    """JSON whose numbers are text, as screening makes of decimals."""
    if isinstance(value, dict):
        return {name: without_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_numbers(inner) for inner in value]
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return str(value) if is_number else value


def countable(value: Any) -> Any:
    """Something that can be counted, in which ``1``, ``true`` and ``'1'`` differ."""
    if isinstance(value, dict):
        return tuple(sorted((name, countable(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("list", *map(countable, value))
    return (type(value).__name__, value)
