"""A plan to one SELECT: where rows multiply, and how the text is laid out.

A select that iterates is unnested in the projection, and its columns are computed of the rows this
gives. Several of them side by side, branches of a union, and those with a row for nothing become
LIST(STRUCT) expressions first. (LEFT JOIN UNNEST, the usual formulation, ran four times slower.) A
select that does not iterate is part of the one around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ecw_pipeline.quoting import identifier, indented, literal
from ecw_pipeline.sql_on_fhir import moments
from ecw_pipeline.sql_on_fhir.emitter import Emitter, taken_apart
from ecw_pipeline.sql_on_fhir.ir import (
    Field,
    Filter,
    Guard,
    Map,
    Node,
    Position,
    Root,
    Variable,
)
from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, PRIMITIVES, held_sql
from ecw_pipeline.sql_on_fhir.plan import (
    Iteration,
    Part,
    Plan,
    PlannedColumn,
    Rows,
    Union,
    columns_of,
    nodes_of,
)

_MOMENTS = frozenset({"DATE", "TIMESTAMP WITH TIME ZONE"})
# What a row is made of: columns of its own, and lists that multiply it.
_Item: TypeAlias = PlannedColumn | Part


def select_sql(plan: Plan, source: str) -> str:
    """The SELECT of a plan over a relation."""
    rows = _Relation(source, _where(plan))
    return _select(list(_items(plan.rows)), rows)


@dataclass(frozen=True)
class _Relation:
    """What rows are made from: SQL for it, and what is known of its columns.

    ``made`` are names of the view's columns that it has already; ``entered`` are the variables of
    iterations that it is the rows of, and ``apart`` those of them taken apart from JSON.
    """

    sql: str
    where: str = ""
    made: frozenset[str] = frozenset()
    entered: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()

    def column(self, column: PlannedColumn) -> str:
        name = identifier(column.name)
        return name if column.name in self.made else f"{column_sql(column, self.apart)} AS {name}"

    def select(self, expressions: list[str]) -> str:
        return f"SELECT\n{_listed(expressions)}\nFROM {self.sql}{self.where}"


def _select(items: list[_Item], rows: _Relation) -> str:
    lists = [item for item in items if not isinstance(item, PlannedColumn)]
    if not lists:
        return rows.select([rows.column(column) for column in _own(items)])
    if len(lists) == 1 and isinstance(lists[0], Rows) and lists[0].iteration:
        iteration = lists[0].iteration
        if _can_be_entered(lists[0], iteration, rows):
            return _entered(items, lists[0], iteration, rows)
    names = {id(part): f"_row_{n}" for n, part in enumerate(lists, 1)}
    inner = [rows.column(column) for column in _own(items)]
    inner += [f"{_rows_sql(p, rows.apart)} AS {identifier(names[id(p)])}" for p in lists]
    query = rows.select(inner)
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


def _can_be_entered(part: Rows, iteration: Iteration, rows: _Relation) -> bool:
    """Whether each item of an iteration can be a row first, and its columns be computed then.

    Not where there is a row without an item, nor where an item's columns look beyond it.
    """
    if iteration.gives_null_row or iteration.source.kind == ANYTHING:
        return False
    return not any(
        isinstance(node, Root) or (isinstance(node, Variable) and node.name in rows.entered)
        for node in nodes_of(replace(part, iteration=None))
    )


def _entered(items: list[_Item], part: Rows, iteration: Iteration, rows: _Relation) -> str:
    """A row for each item first: plain columns of it cost a quarter of those of a lambda."""
    each, apart = _each(part, iteration, rows.apart)
    own = _own(items)
    item, index = identifier(iteration.variable), identifier(iteration.index)
    query = rows.select([*map(rows.column, own), f"{each} AS {item}"])
    query = (
        f"SELECT * REPLACE (unnest({item}) AS {item}), generate_subscripts({item}, 1) AS {index}"
        f"\nFROM (\n{indented(query)}\n)"
    )
    at = items.index(part)
    return _select(
        [*items[:at], *_items(part), *items[at + 1 :]],
        _Relation(
            f"(\n{indented(query)}\n)",
            made=rows.made.union(column.name for column in own),
            entered=rows.entered | {iteration.variable},
            apart=apart,
        ),
    )


def column_sql(column: PlannedColumn, apart: frozenset[str]) -> str:
    """A column's expression, of the column's type."""
    node, emitter = column.node, _emitter(column.name, apart)
    if column.definition.is_collection:
        if node.kind == ANYTHING:
            return f"CAST([] AS {column.sql_type})"
        value = f"coalesce({emitter.sql(node)}, [])"
        return _cast(value, _held(node) + "[]", column.sql_type, emitter)
    if node.kind == ANYTHING:
        return f"CAST(NULL AS {column.sql_type})"
    return _cast(emitter.sql(node), _held(node), column.sql_type, emitter)


def _held(node: Node) -> str:
    return held_sql(node.kind) if node.kind in PRIMITIVES else "JSON"


def _cast(value: str, held: str, wanted: str, emitter: Emitter) -> str:
    if held == wanted:
        return value
    if held == "VARCHAR" and wanted in _MOMENTS:
        return emitter.bind([value], lambda text: moments.as_column(text, wanted))
    return f"TRY_CAST({value} AS {wanted})"


def _emitter(label: str, apart: frozenset[str]) -> Emitter:
    return Emitter(label, taken_apart=apart)


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
        branches = [_branch_sql(branch, apart) for branch in part.branches]
        joined = ",\n".join(indented(branch) for branch in branches)
        return branches[0] if len(branches) == 1 else f"list_concat(\n{joined}\n)"
    if part.iteration is None:
        body, is_list = _body(part, apart)
        return body if is_list else f"[{body}]"
    return _iterated(part, part.iteration, apart)


def _branch_sql(branch: Rows, apart: frozenset[str]) -> str:
    """A branch's rows; where no resource of a vector has the element, its lambda is not begun."""
    found = _rows_sql(branch, apart)
    tests = _presences(branch)
    return f"CASE WHEN {' AND '.join(tests)}\nTHEN {found} END" if tests else found


def _iterated(rows: Rows, iteration: Iteration, apart: frozenset[str]) -> str:
    if iteration.source.kind == ANYTHING:
        return f"[{_null_row(rows)}]" if iteration.gives_null_row else f"[{_null_row(rows)}][2:]"
    each, apart = _each(rows, iteration, apart)
    body, is_list = _body(rows, apart)
    head = f"lambda {iteration.variable}, {iteration.index}:"
    result = f"list_transform({each}, {head}\n{indented(body)}\n)"
    if is_list:
        result = f"flatten({result})"
    if not iteration.gives_null_row:
        return result
    items = _source_items(rows, iteration, apart)
    return f"CASE WHEN len({items}) > 0\nTHEN {result}\nELSE [{_null_row(rows)}] END"


def _source_items(rows: Rows, iteration: Iteration, apart: frozenset[str]) -> str:
    """The list that a select iterates over."""
    emitter = _emitter(next((c.name for c in columns_of(rows)), "a select"), apart)
    items = emitter.sql(iteration.source)
    if iteration.source.is_many:
        return items
    return f"list_filter([{items}], lambda v: v IS NOT NULL)"


def _each(rows: Rows, iteration: Iteration, apart: frozenset[str]) -> tuple[str, frozenset[str]]:
    """The list that a select iterates over, of JSON taken apart, and what is taken apart then."""
    items, shape = _source_items(rows, iteration, apart), iteration.source.shape
    if shape is not None and shape.is_json and shape.children and not shape.is_output:
        return taken_apart(items, shape), apart | {iteration.variable}
    return items, apart


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
    return rows.iteration.variable.removeprefix("_x") if rows.iteration else "0"


def _null_row(rows: Rows) -> str:
    """The row of an empty forEachOrNull: all null, but %rowIndex is 0."""
    fields = [f"{literal(c.name)}: {_null_column(c)}" for c in columns_of(rows)]
    return f"{{{', '.join(fields)}}}"


def _null_column(column: PlannedColumn) -> str:
    value = "0" if isinstance(column.node, Position) else "NULL"
    return f"CAST({value} AS {column.sql_type})"


def _where(plan: Plan) -> str:
    tests = [_emitter("where", frozenset()).sql(node) for node in plan.conditions]
    tests += _presences(plan.rows)
    return "\nWHERE " + "\n  AND ".join(tests) if tests else ""


def _presences(part: Part) -> list[str]:
    """What a resource must have to give a row: tests that all hold of those that give any.

    Most resources lack what a table of repeats is made of, and are left out before their other
    columns are computed.
    """
    if isinstance(part, Union):
        branches = [_presences(branch) for branch in part.branches]
        if not all(branches):
            return []
        tests = dict.fromkeys(" AND ".join(branch) for branch in branches)
        return [f"({' OR '.join(tests)})"]
    iteration = part.iteration
    if iteration is None:
        return [test for inner in part.parts for test in _presences(inner)]
    return [] if iteration.gives_null_row else _presence(iteration.source)


def _presence(source: Node) -> list[str]:
    """Whether there is the element of the resource that an iteration begins at, if it does so."""
    while isinstance(source, Field | Filter | Map | Guard):
        if isinstance(source, Field) and isinstance(source.source, Root):
            name = identifier(source.shape.name)
            return [f"len({name}) > 0" if source.is_many else f"{name} IS NOT NULL"]
        source = source.source
    return []


def _listed(lines: list[str]) -> str:
    return indented(",\n".join(lines))
