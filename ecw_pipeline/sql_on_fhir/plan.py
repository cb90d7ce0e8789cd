"""A view with every path resolved: what each select iterates and what each column is.

The plan keeps the tree of the view's selects. Names, types and nullability of the table are
known here, before any data; how rows are made in SQL is in `emitter` and `layout`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from ecw_pipeline.fhir import structure
from ecw_pipeline.sql_on_fhir import declared_types, walks
from ecw_pipeline.sql_on_fhir.calls import item_of
from ecw_pipeline.sql_on_fhir.ir import (
    Apply,
    Choice,
    Empty,
    Field,
    Guard,
    Node,
    Position,
    Root,
    Value,
    Variable,
    Walk,
    children,
)
from ecw_pipeline.sql_on_fhir.kinds import (
    ANYTHING,
    NUMBER,
    PRIMITIVES,
    column_sql,
    requested_sql,
)
from ecw_pipeline.sql_on_fhir.parser import parse
from ecw_pipeline.sql_on_fhir.problems import PathError, Problems, did_you_mean
from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope
from ecw_pipeline.sql_on_fhir.shapes import Shape
from ecw_pipeline.sql_on_fhir.type_forms import exists_node, only_form
from ecw_pipeline.sql_on_fhir.view_definition import (
    ColumnDefinition,
    SelectDefinition,
    ViewDefinition,
)

MAX_ITERATIONS = 8
_NEVER_NULL = frozenset({"exists_one", "exists_many", "count", "all_of", "equivalent", "&"})


@dataclass(frozen=True)
class PlannedColumn:
    """One column; ``node`` is of kind ``node.kind``, the column of ``sql_type``."""

    definition: ColumnDefinition
    node: Node
    fhir_type: str | None
    sql_type: str
    is_nullable: bool

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def is_untyped(self) -> bool:
        """Whether it is always empty, of no type that anything says."""
        return self.fhir_type is None and not self.definition.sql_type


@dataclass(frozen=True)
class Iteration:
    """What a select iterates over, and the lambda's names for item and position."""

    source: Node
    variable: str
    index: str
    gives_null_row: bool


@dataclass(frozen=True)
class Rows:
    """One select: its columns times its parts, for each item of its iteration."""

    iteration: Iteration | None
    columns: tuple[PlannedColumn, ...]
    parts: "tuple[Part, ...]"


@dataclass(frozen=True)
class Union:
    """The rows of each branch, one after the other."""

    branches: tuple[Rows, ...]


Part: TypeAlias = Rows | Union


@dataclass(frozen=True)
class Plan:
    """A whole view, resolved."""

    root: Root
    rows: Rows
    conditions: tuple[Node, ...]


def columns_of(part: Part) -> Iterator[PlannedColumn]:
    """The columns a part gives, in the table's order.

    A union's are its first branch's, nullable when they are in any branch.
    """
    if isinstance(part, Union):
        for same in zip(*map(columns_of, part.branches), strict=False):
            yield replace(same[0], is_nullable=any(column.is_nullable for column in same))
        return
    yield from part.columns
    for inner in part.parts:
        yield from columns_of(inner)


def nodes_of(*found: Part | Node) -> Iterator[Node]:
    """Every node in parts and nodes, those of iterations too."""
    for one in found:
        if isinstance(one, Union):
            yield from nodes_of(*one.branches)
        elif isinstance(one, Rows):
            if one.iteration:
                yield from nodes_of(one.iteration.source)
            yield from nodes_of(*(column.node for column in one.columns), *one.parts)
        else:
            yield one
            yield from nodes_of(*children(one))


class Planner:
    """Resolves the paths of one view, noting every problem and going on."""

    def __init__(self, view: ViewDefinition, problems: Problems) -> None:
        self._view = view
        self._problems = problems
        self._root = Root(view.resource, Shape("", view.resource))
        self._resolver = Resolver(self._root, view.constants, problems)

    def plan(self) -> Plan:
        """The resolved view; only to be used when no problems were noted."""
        scope = Scope(self._root if self._is_known_resource() else Empty())
        parts = tuple(self._select(select, scope, 0, False) for select in self._view.selects)
        rows = Rows(None, (), parts)
        conditions = tuple(
            self._condition(path, f"where[{n}].path", scope)
            for n, path in enumerate(self._view.conditions)
        )
        self._check_names(rows)
        return Plan(self._root, rows, conditions)

    def _is_known_resource(self) -> bool:
        """Whether FHIR knows the resource; paths over one it does not are read for their form."""
        resource = self._view.resource
        if structure.is_resource(resource):
            return True
        if resource:
            hint = did_you_mean(resource, structure.resource_types())
            self._problems.add("resource", f"{resource} is not a resource type of R4{hint}")
        return False

    def line_column(self, definition: ColumnDefinition, key: str) -> PlannedColumn:
        """A technical column that screening adds to each line; no FHIRPath reaches it."""
        shape = self._root.shape.child(structure.Element(key, "integer64", False))
        node = Field(self._root, shape, "integer64", False)
        return PlannedColumn(definition, node, None, "BIGINT", False)

    def key_column(self, definition: ColumnDefinition, *, is_nullable: bool) -> PlannedColumn:
        """A column the pipeline adds beside the view's own."""
        return replace(self._column(definition, Scope(self._root), False), is_nullable=is_nullable)

    # Selects

    def _select(self, select: SelectDefinition, scope: Scope, depth: int, nulls: bool) -> Rows:
        iteration: Iteration | None = None
        if select.directive:
            depth += 1
            if depth > MAX_ITERATIONS:
                message = f"iterates inside iterations more than {MAX_ITERATIONS} deep"
                self._problems.add(select.where, message)
                return Rows(None, (), ())
            iteration, scope = self._iteration(select, scope, depth)
            nulls = nulls or iteration.gives_null_row
        columns = tuple(self._column(column, scope, nulls) for column in select.columns)
        parts: list[Part] = [self._select(s, scope, depth, nulls) for s in select.selects]
        if select.union:
            parts.append(self._union(select, scope, depth, nulls))
        return Rows(iteration, columns, tuple(parts))

    def _iteration(
        self, select: SelectDefinition, scope: Scope, depth: int
    ) -> tuple[Iteration, Scope]:
        variable, index = f"_x{depth}", f"_i{depth}"  # no column's name begins so
        if select.directive == "repeat":
            source = self._walk(select, scope, f"w{depth}")
        else:
            where = f"{select.where}.{select.directive}"
            source = self._resolved(select.paths[0], where, scope)
        item: Node = item_of(source, variable, index)
        if source.kind == ANYTHING:
            item = Empty()
        elif _is_root(source):
            # The resource is no value to put in a list: iterate over whether it is there.
            item, source = self._root, Guard(Value(0, "integer"), exists_node(source))
        inner = Scope(item, Position(index), depth=scope.depth + 1)
        gives_null_row = select.directive == "forEachOrNull"
        return Iteration(source, variable, index, gives_null_row), inner

    def _union(self, select: SelectDefinition, scope: Scope, depth: int, nulls: bool) -> Union:
        branches = tuple(self._select(branch, scope, depth, nulls) for branch in select.union)
        types = {c.name: c for b in branches for c in columns_of(b) if not c.is_untyped}
        branches = tuple(_typed_like(branch, types) for branch in branches)
        first = list(columns_of(branches[0]))
        for n, branch in enumerate(branches[1:], 1):
            where = f"{select.where}.unionAll[{n}]"
            columns = list(columns_of(branch))
            names, expected = [c.name for c in columns], [c.name for c in first]
            if names != expected:
                message = f"gives columns {', '.join(names)} where the first branch gives "
                self._problems.add(where, message + ", ".join(expected))
                continue
            for column, model in zip(columns, first, strict=True):
                if column.sql_type != model.sql_type:
                    message = f"{column.name} is {column.sql_type} here and {model.sql_type} in "
                    self._problems.add(where, message + "the first branch: declare one `type`")
        return Union(branches)

    def _walk(self, select: SelectDefinition, scope: Scope, variable: str) -> Node:
        """``repeat``: from the focus, then from every node found, along the same paths."""
        where = f"{select.where}.repeat"
        quiet = Planner(self._view, Problems())._resolver
        quiet.root = self._root
        starts = [self._resolved(path, where, scope, quiet) for path in select.paths]
        known = [node for node in starts if node.kind != ANYTHING]
        if not known:
            for path in select.paths:
                self._resolved(path, where, scope)  # for its warning
            return Empty()
        kind = known[0].kind
        shape = Shape(kind, kind)
        shape.is_whole = True
        item = Variable(variable, kind, shape)
        inner = Scope(item, Position(), depth=scope.depth + 1)
        steps = [self._resolved(path, where, inner, quiet) for path in select.paths]
        found = [*known, *(node for node in steps if node.kind != ANYTHING)]
        if any(map(walks.walks, found)):
            self._problems.add(where, walks.NESTED)
            return Empty()
        for node in found:
            if node.kind != kind or node.shape is None:
                self._problems.add(
                    where, f"its paths lead to {kind} and {node.kind}: one is needed"
                )
                return Empty()
            node.shape.is_whole = True
        for path, start, step in zip(select.paths, starts, steps, strict=True):
            if start.kind == step.kind == ANYTHING:
                self._problems.warn(where, "is always empty", path, 0)
        return Walk(tuple(known), variable, tuple(found[len(known) :]), kind, shape)

    # Columns and conditions

    def _column(self, definition: ColumnDefinition, scope: Scope, nulls: bool) -> PlannedColumn:
        where = f"{definition.where}.path"
        node = self._resolved(definition.path, where, scope, form=definition.fhir_type)
        fhir_type = self._fhir_type(definition, node)
        node = self._held(node, definition)
        sql_type = column_sql(fhir_type)
        if definition.sql_type:
            requested = requested_sql(definition.sql_type)
            if requested is None:
                message = f"ansi/type {definition.sql_type!r} is not a type we write"
                self._problems.add(definition.where, message)
            sql_type = requested or sql_type
        if node.kind == NUMBER and sql_type in {"VARCHAR", "JSON"}:
            node = self._resolver.mapped(node, "text of number", "decimal")
        sql_type += "[]" * definition.is_collection
        is_nullable = nulls or not (definition.is_collection or _never_null(node))
        shown = None if fhir_type == ANYTHING else fhir_type
        return PlannedColumn(definition, node, shown, sql_type, is_nullable)

    def _fhir_type(self, definition: ColumnDefinition, node: Node) -> str:
        found = "decimal" if node.kind == NUMBER else node.kind
        declared = definition.fhir_type
        if not declared:
            return found
        if not declared_types.is_type(declared):
            hint = did_you_mean(declared, structure.type_names())
            self._problems.add(f"{definition.where}.type", f"{declared} is not a FHIR type{hint}")
        elif declared == "string" and found not in {*PRIMITIVES, ANYTHING}:
            message = f"its path gives {found}, so column {definition.name} holds JSON as text"
            self._problems.warn(f"{definition.where}.type", message, definition.path, 0)
        elif not declared_types.accepts(declared, found):
            self._problems.add(
                f"{definition.where}.type",
                f"column {definition.name} is declared {declared}, but its path gives {found}",
                definition.path,
                0,
            )
        return declared

    def _held(self, node: Node, definition: ColumnDefinition) -> Node:
        """One value or a list, as the column wants, and a complex one whole."""
        if isinstance(node, Root):
            message = "a resource is not a value: name an element of it"
            self._problems.add(definition.where, message)
            return Empty()
        if node.shape is not None and node.kind not in PRIMITIVES:
            node.shape.is_whole = node.shape.is_output = True
        if definition.is_collection:
            return self._resolver.many(node)
        return self._resolver.one(node, 0)

    def _condition(self, path: str, where: str, scope: Scope) -> Node:
        node = self._resolved(path, where, scope)
        try:
            return self._resolver.truth(node, 0)
        except PathError as error:
            self._problems.add(where, error.message, path, error.at)
            return Empty()

    def _resolved(
        self,
        path: str,
        where: str,
        scope: Scope,
        resolver: Resolver | None = None,
        form: str = "",
    ) -> Node:
        """A path's meaning; empty when it has none, which is then noted."""
        if not path:
            return Empty()  # noted as missing
        try:
            resolver = (resolver or self._resolver).at(where, path)
            node = resolver.resolve(parse(path), scope)
            if isinstance(node, Choice) and form:
                node = only_form(resolver, node, form)
            return resolver.settled(node, 0)
        except PathError as error:
            self._problems.add(where, error.message, path, error.at)
            return Empty()

    def _check_names(self, rows: Rows) -> None:
        seen: dict[str, str] = {}
        for column in columns_of(rows):
            other = seen.setdefault(column.name.lower(), column.definition.where)
            if other is not column.definition.where:
                message = f"column {column.name} is already named at {other}"
                self._problems.add(column.definition.where, message)
        if not seen:
            self._problems.add("select", "the view has no columns")


def _typed_like(rows: Rows, types: Mapping[str, PlannedColumn]) -> Rows:
    """Rows whose columns that are always empty have the types that other branches give them."""

    def typed(column: PlannedColumn) -> PlannedColumn:
        model = types.get(column.name)
        if model is None or not column.is_untyped:
            return column
        return replace(column, fhir_type=model.fhir_type, sql_type=model.sql_type)

    def part_typed(part: Part) -> Part:
        if isinstance(part, Rows):
            return _typed_like(part, types)
        return Union(tuple(_typed_like(branch, types) for branch in part.branches))

    columns = tuple(map(typed, rows.columns))
    return replace(rows, columns=columns, parts=tuple(map(part_typed, rows.parts)))


def _is_root(node: Node) -> bool:
    """The resource itself, perhaps under conditions."""
    return isinstance(node, Root) or (isinstance(node, Guard) and _is_root(node.source))


def _never_null(node: Node) -> bool:
    match node:
        case Position() | Value():
            return True
        case Apply(function="not", arguments=arguments):
            return _never_null(arguments[0])
        case Apply(function=function):
            return function in _NEVER_NULL
    return False
