"""Typed IR to DuckDB SQL expressions.

One value is SQL's NULL when empty; many are a list without NULLs (a NULL list is empty too).
Lists are walked with list_transform and list_filter, which DuckDB runs column by column; nothing
here joins or unnests.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.sql_on_fhir.functions import FUNCTIONS, OPERATORS
from ecw_pipeline.sql_on_fhir.ir import (
    Apply,
    Beside,
    Empty,
    Field,
    Filter,
    Guard,
    Map,
    Node,
    Position,
    Root,
    Value,
    Variable,
    Walk,
    children,
)
from ecw_pipeline.sql_on_fhir.kinds import PRIMITIVES
from ecw_pipeline.sql_on_fhir.shapes import Shape

# How deep `repeat` follows a structure into itself. DuckDB binds each lambda twice, so every level
# doubles the time to plan: 12 levels cost milliseconds, 24 would cost half a minute.
REPEAT_DEPTH = 12
# What SQL says at run time of data it cannot take; `running.unfit_data` knows it by these words.
SEVERAL_VALUES = "several values where one is expected"
OTHER_TYPE = "a value of another type than the column's; ofType(…) leaves others out"
TOO_DEEP = f"repeat goes deeper than {REPEAT_DEPTH} levels"
# What is cheap to write twice: a name, or names with dots.
_SIMPLE = re.compile(r'^[\w".]+$')


class Emitter:
    """Writes the expressions of one column or iteration; ``label`` names it in run-time errors."""

    def __init__(self, label: str = "", *, taken_apart: frozenset[str] = frozenset()) -> None:
        self._label = label
        self._taken_apart = taken_apart
        self._renamed: dict[str, str] = {}
        self._bound = 0

    def sql(self, node: Node) -> str:
        """The expression for a node."""
        match node:
            case Field():
                return self._field(node)
            case Beside():
                return self._beside(node)
            case Variable(name=name):
                return self._renamed.get(name, name)
            case Value():
                return _value(node)
            case Empty():
                return "NULL"
            case Position(variable=variable):
                return f"CAST({variable} - 1 AS INTEGER)" if variable else "0"
            case Guard():
                return self._guarded(node)
            case Filter():
                head = _lambda(
                    node.variable, node.index if _uses(node.condition, node.index) else ""
                )
                return f"list_filter({self.sql(node.source)}, {head} {self.sql(node.condition)})"
            case Map():
                return self._mapped(node)
            case Apply():
                return self._applied(node)
            case Walk():
                return self._walked(node)
        raise UnsupportedViewError("a resource is not a value: name an element of it")

    # Elements

    def _field(self, node: Field) -> str:
        if isinstance(node.source, Guard):
            inner = Field(node.source.source, node.shape, node.kind, node.is_many)
            condition = self.sql(node.source.condition)
            return f"CASE WHEN {condition} THEN {self.sql(inner)} END"
        if not node.source.is_many:
            found = self._accessed(self.sql_or_root(node.source), node.source, node.shape)
            return _without_nulls(found) if _may_hold_nulls(node.shape) else found
        steps = [node.shape]
        source: Node = node.source
        while isinstance(source, Field) and source.source.is_many and not source.shape.is_list:
            steps.insert(0, source.shape)
            source = source.source
        body, shape = "v", source.shape
        for step in steps:
            body, shape = _step(body, shape, step, is_apart=False), step
        mapped = f"list_transform({self.sql(source)}, lambda v: {body})"
        if not node.shape.is_list:
            return _without_nulls(mapped)
        flat = f"flatten({mapped})"
        return _without_nulls(flat) if _may_hold_nulls(node.shape) else flat

    def _beside(self, node: Beside) -> str:
        source = node.source
        if isinstance(source, Guard):
            inner = self._beside(replace(node, source=source.source))
            return f"CASE WHEN {self.sql(source.condition)} THEN {inner} END"
        base = "s" if source.is_many else self.sql_or_root(source)
        value = self._accessed(base, source, node.of)
        beside = self._accessed(base, source, node.shape)
        if node.of.is_list:
            pairs = f"list_transform({value}, lambda v, n: {{'v': v, 'b': {beside}[n]}})"
        else:
            pairs = f"[{{'v': {value}, 'b': {beside}}}]"
        if source.is_many:
            pairs = f"flatten(list_transform({self.sql(source)}, lambda s: {pairs}))"
        valued = f"list_filter({pairs}, lambda p: p.v IS NOT NULL)"
        return f"list_transform({valued}, lambda p: p.b)"

    def sql_or_root(self, node: Node) -> str:
        return "" if isinstance(node, Root) else self.sql(node)

    def _accessed(self, base: str, source: Node, shape: Shape) -> str:
        is_apart = isinstance(source, Variable) and source.name in self._taken_apart
        return _step(base, source.shape, shape, is_apart=is_apart)

    # Collections

    def _guarded(self, node: Guard) -> str:
        return f"CASE WHEN {self.sql(node.condition)} THEN {self.sql(node.source)} END"

    def _mapped(self, node: Map) -> str:
        head = _lambda(node.variable, node.index if _uses(node.body, node.index) else "")
        mapped = f"list_transform({self.sql(node.source)}, {head} {self.sql(node.body)})"
        return f"flatten({mapped})" if node.body.is_many else _without_nulls(mapped)

    def _walked(self, node: Walk) -> str:
        starts = _concatenated([self._as_list(start) for start in node.sources])
        return self._walk_level(node, starts, 1)

    def _walk_level(self, node: Walk, items: str, level: int) -> str:
        if level > REPEAT_DEPTH:
            message = f"{self._label}: {TOO_DEEP}"
            return f"CASE WHEN len({items}) > 0 THEN error({literal(message)}) END"
        name = f"{node.variable}_{level}"
        with self._as_name(node.variable, name):
            below = _concatenated([self._as_list(step) for step in node.steps])
        if not node.steps:
            return items
        deeper = self._walk_level(node, below, level + 1)
        return f"flatten(list_transform({items}, lambda {name}: list_concat([{name}], {deeper})))"

    def _as_list(self, node: Node) -> str:
        return self.sql(node) if node.is_many else f"[{self.sql(node)}]"

    @contextmanager
    def _as_name(self, variable: str, name: str) -> Iterator[None]:
        self._renamed[variable] = name
        yield
        del self._renamed[variable]

    # Functions

    def _applied(self, node: Apply) -> str:
        if node.function == "exists_one":
            return self._present(node.arguments[0])
        function = FUNCTIONS.get(node.function) or OPERATORS[node.function]
        if node.function == "single":
            return self.bind([self.sql(node.arguments[0])], self._single)
        arguments = [self.sql(argument) for argument in node.arguments]
        if node.function == "only":
            value, is_other = arguments
            message = literal(f"{self._label}: {OTHER_TYPE}")
            return f"CASE WHEN {is_other} THEN error({message}) ELSE {value} END"
        if not function.repeats:
            return function.sql(*arguments)
        return self.bind(arguments, function.sql)

    def _single(self, items: str) -> str:
        message = f"{self._label}: {SEVERAL_VALUES}"
        return f"CASE WHEN len({items}) > 1 THEN error({literal(message)}) ELSE {items}[1] END"

    def _present(self, node: Node) -> str:
        """Whether one value is there; the resource itself always is."""
        if isinstance(node, Root):
            return "true"
        if isinstance(node, Guard):
            condition = f"coalesce({self.sql(node.condition)}, false)"
            return f"({condition} AND {self._present(node.source)})"
        return f"({self.sql(node)} IS NOT NULL)"

    def bind(self, arguments: list[str], write: Callable[..., str]) -> str:
        """Give long arguments a name, so that using them twice does not compute them twice."""
        names, bindings = [], []
        for argument in arguments:
            if _is_cheap(argument):
                names.append(argument)
                continue
            self._bound += 1
            names.append(f"t{self._bound}")
            bindings.append((names[-1], argument))
        body = write(*names)
        for name, argument in reversed(bindings):
            body = f"list_transform([{argument}], lambda {name}: {body})[1]"
        return body


def _step(base: str, source: Shape | None, shape: Shape, *, is_apart: bool) -> str:
    """One element of a value; of JSON, after taking it apart."""
    if not base:
        return identifier(shape.name)
    if source is not None and source.is_json and not is_apart:
        base = f"(from_json({base}, {literal(source.structure_json)}))"
    elif not _SIMPLE.match(base):
        base = f"({base})"
    return f"{base}.{identifier(shape.name)}"


def taken_apart(items: str, shape: Shape) -> str:
    """A list of JSON, each taken apart once."""
    return f"list_transform({items}, lambda j: from_json(j, {literal(shape.structure_json)}))"


def _may_hold_nulls(shape: Shape) -> bool:
    """Lists of primitives hold null where a value has only an extension."""
    return shape.is_list and (shape.kind in PRIMITIVES or shape.name.startswith("_"))


def _without_nulls(items: str) -> str:
    return f"list_filter({items}, lambda v: v IS NOT NULL)"


def _concatenated(lists: list[str]) -> str:
    return lists[0] if len(lists) == 1 else f"list_concat({', '.join(lists)})"


def _lambda(variable: str, index: str) -> str:
    return f"lambda {variable}, {index}:" if index else f"lambda {variable}:"


def _uses(node: Node, index: str) -> bool:
    if isinstance(node, Position):
        return node.variable == index
    return any(_uses(child, index) for child in children(node))


def _is_cheap(sql: str) -> bool:
    return bool(_SIMPLE.match(sql)) or (len(sql) < 40 and "(" not in sql)


def _value(node: Value) -> str:
    value = node.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"CAST({value} AS BIGINT)" if abs(value) > 2**31 - 1 else str(value)
    return literal(value)
