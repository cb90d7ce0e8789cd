"""A plan to one SELECT: where rows multiply, and how the text is laid out.

A select that iterates becomes one LIST(STRUCT) expression; the lists of a view are then unnested
one after the other in the projection. (LEFT JOIN UNNEST, the usual formulation, ran four times
slower.) A select that does not iterate is part of the one around it.
"""

from collections.abc import Iterator
from typing import TypeAlias

from ecw_pipeline.quoting import identifier, indented, literal
from ecw_pipeline.sql_on_fhir import moments
from ecw_pipeline.sql_on_fhir.emitter import Emitter, taken_apart
from ecw_pipeline.sql_on_fhir.ir import Node, Position
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, PRIMITIVES, held_sql
from ecw_pipeline.sql_on_fhir.plan import (
    Iteration,
    Part,
    Plan,
    PlannedColumn,
    Rows,
    Union,
    columns_of,
)

_MOMENTS = frozenset({"DATE", "TIMESTAMP WITH TIME ZONE"})
# What a row is made of: columns of its own, and lists that multiply it.
_Item: TypeAlias = PlannedColumn | Part


def select_sql(plan: Plan, source: str) -> str:
    """The SELECT of a plan over a relation."""
    items = list(_items(plan.rows))
    lists = [item for item in items if not isinstance(item, PlannedColumn)]
    names = {id(part): f"_row_{n}" for n, part in enumerate(lists, 1)}
    where = _where(plan)
    if not lists:
        columns = [_aliased(column, frozenset()) for column in _own(items)]
        return f"SELECT\n{_listed(columns)}\nFROM {source}{where}"
    inner = [_aliased(column, frozenset()) for column in _own(items)]
    inner += [f"{_rows_sql(p, frozenset())} AS {identifier(names[id(p)])}" for p in lists]
    query = f"SELECT\n{_listed(inner)}\nFROM {source}{where}"
    for part in lists:
        row = identifier(names[id(part)])
        query = f"SELECT * REPLACE (unnest({row}) AS {row})\nFROM (\n{indented(query)}\n)"
    outer: list[str] = []
    for item in items:
        if isinstance(item, PlannedColumn):
            outer.append(identifier(item.name))
            continue
        row = identifier(names[id(item)])
        for column in columns_of(item):
            name = identifier(column.name)
            outer.append(f"{row}.{name} AS {name}")
    return f"SELECT\n{_listed(outer)}\nFROM (\n{indented(query)}\n)"


def column_sql(column: PlannedColumn, apart: frozenset[str]) -> str:
    """A column's expression, of the column's type."""
    node = column.node
    if column.definition.is_collection:
        if node.kind == ANYTHING:
            return f"CAST([] AS {column.sql_type})"
        value = f"coalesce({_emitter(column.name, apart).sql(node)}, [])"
        return _cast(value, _held(node) + "[]", column.sql_type)
    if node.kind == ANYTHING:
        return f"CAST(NULL AS {column.sql_type})"
    return _cast(_emitter(column.name, apart).sql(node), _held(node), column.sql_type)


def _held(node: Node) -> str:
    return held_sql(node.kind) if node.kind in PRIMITIVES else "JSON"


def _cast(value: str, held: str, wanted: str) -> str:
    if held == wanted:
        return value
    if held == "VARCHAR" and wanted in _MOMENTS:
        return moments.as_column(value, wanted)
    return f"TRY_CAST({value} AS {wanted})"


def _emitter(label: str, apart: frozenset[str]) -> Emitter:
    return Emitter(label, taken_apart=apart)


def _aliased(column: PlannedColumn, apart: frozenset[str]) -> str:
    return f"{column_sql(column, apart)} AS {identifier(column.name)}"


def _items(rows: Rows) -> Iterator[_Item]:
    """A select's columns and lists in order, selects that do not iterate opened up."""
    yield from rows.columns
    for part in rows.parts:
        if isinstance(part, Rows) and part.iteration is None:
            yield from _items(part)
        else:
            yield part


def _own(items: list[_Item]) -> list[PlannedColumn]:
    return [item for item in items if isinstance(item, PlannedColumn)]


def _rows_sql(part: Part, apart: frozenset[str]) -> str:
    """A list of structs, one per row."""
    if isinstance(part, Union):
        branches = [_rows_sql(branch, apart) for branch in part.branches]
        joined = ",\n".join(indented(branch) for branch in branches)
        return branches[0] if len(branches) == 1 else f"list_concat(\n{joined}\n)"
    if part.iteration is None:
        body, is_list = _body(part, apart)
        return body if is_list else f"[{body}]"
    return _iterated(part, part.iteration, apart)


def _iterated(rows: Rows, iteration: Iteration, apart: frozenset[str]) -> str:
    emitter = _emitter(next((c.name for c in columns_of(rows)), "a select"), apart)
    source, shape = iteration.source, iteration.source.shape
    if source.kind == ANYTHING:
        return f"[{_null_row(rows)}]" if iteration.gives_null_row else f"[{_null_row(rows)}][2:]"
    items = emitter.sql(source)
    if not source.is_many:
        items = f"list_filter([{items}], lambda v: v IS NOT NULL)"
    each = items
    if shape is not None and shape.is_json and shape.children and not shape.is_output:
        each = taken_apart(items, shape)
        apart |= {iteration.variable}
    body, is_list = _body(rows, apart)
    head = f"lambda {iteration.variable}, {iteration.index}:"
    result = f"list_transform({each}, {head}\n{indented(body)}\n)"
    if is_list:
        result = f"flatten({result})"
    if not iteration.gives_null_row:
        return result
    return f"CASE WHEN len({items}) > 0\nTHEN {result}\nELSE [{_null_row(rows)}] END"


def _body(rows: Rows, apart: frozenset[str]) -> tuple[str, bool]:
    """What one item of a select gives: a struct, or a list of them when it multiplies."""
    items = list(_items(rows))
    lists = [item for item in items if not isinstance(item, PlannedColumn)]
    depth = _depth(rows)
    names = {id(part): f"r{depth}_{n}" for n, part in enumerate(lists, 1)}
    fields: list[str] = []
    for item in items:
        if isinstance(item, PlannedColumn):
            fields.append(f"{literal(item.name)}: {column_sql(item, apart)}")
            continue
        for column in columns_of(item):
            value = f"{names[id(item)]}.{identifier(column.name)}"
            fields.append(f"{literal(column.name)}: {value}")
    body = f"{{\n{_listed(fields)}\n}}"
    for n, part in enumerate(reversed(lists)):
        name = names[id(part)]
        body = f"list_transform({_rows_sql(part, apart)}, lambda {name}:\n{indented(body)}\n)"
        body = f"flatten({body})" if n else body
    return body, bool(lists)


def _depth(rows: Rows) -> str:
    return rows.iteration.variable.removeprefix("x") if rows.iteration else "0"


def _null_row(rows: Rows) -> str:
    """The row of an empty forEachOrNull: all null, but %rowIndex is 0."""
    fields = [f"{literal(c.name)}: {_null_column(c)}" for c in columns_of(rows)]
    return f"{{{', '.join(fields)}}}"


def _null_column(column: PlannedColumn) -> str:
    value = "0" if isinstance(column.node, Position) else "NULL"
    return f"CAST({value} AS {column.sql_type})"


def _where(plan: Plan) -> str:
    tests = [_emitter("where", frozenset()).sql(node) for node in plan.conditions]
    return "\nWHERE " + "\n  AND ".join(tests) if tests else ""


def _listed(lines: list[str]) -> str:
    return indented(",\n".join(lines))
