"""Random FHIRPaths as text, of a wanted kind of result, so that all of them compile.

One table per kind of result says in which ways such a value can be written; an entry is called
with the type the path starts at and how deep it may still go.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ecw_pipeline_tests.sql_on_fhir.random_resources import ELEMENTS, URLS

FAMILIES = {
    "text": ("string", "code", "id", "uri"),
    "integer": ("integer", "positiveInt"),
    "decimal": ("decimal",),
    "boolean": ("boolean",),
    "moment": ("date", "dateTime", "instant"),
    "time": ("time",),
}
FAMILY_OF = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
LITERALS = {
    "text": ("'a'", "'b'", "'A B'", "''", "'1'", r"'O\'Neil'", "%word", r"'2020-03'", "'true'"),
    "integer": ("0", "1", "2", "-1", "%count", "(%rowIndex + 0)"),
    "decimal": ("1.0", "0.10", "-2.5", "3.125", "%amount"),
    "boolean": ("true", "false", "%yes"),
    "moment": ("@2020", "@2020-02-29", "@2020-02-29T23:30:00Z", "@2020-03-01T00:30:00.250+01:00",
               "%day"),
    "time": ("@T10:00:00", "@T10:00:00.500"),
}  # fmt: skip
CONSTANTS = [
    {"name": "word", "valueString": "O'Neil"},
    {"name": "count", "valueInteger": 2},
    {"name": "amount", "valueDecimal": 1.1},
    {"name": "yes", "valueBoolean": True},
    {"name": "day", "valueDate": "2020-02"},
]
# Target → of what it can be made.
CONVERSIONS = {
    "String": tuple(FAMILIES),
    "Integer": ("integer", "boolean", "text"),
    "Decimal": ("integer", "decimal", "boolean", "text"),
    "Boolean": ("integer", "decimal", "boolean", "text"),
    "Date": ("moment", "text"),
    "DateTime": ("moment", "text"),
    "Time": ("time", "text"),
}
PATTERNS = (r"'^[a-z]$'", r"'\\d+'", "'b|A'", "'.'", "'(a)(.?)'")


@dataclass(frozen=True)
class Chain:
    """Elements to walk; ``kinds`` is what each step ends at, with * where it repeats."""

    steps: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.kinds[-1].rstrip("*")


@cache
def chains(kind: str, longest: int = 3) -> tuple[Chain, ...]:
    """Every way down from a type."""
    found: list[Chain] = []
    for name, written in ELEMENTS.get(kind, {}).items():
        for inner in written.split():
            step = f"{name}.ofType({inner})" if " " in written else name
            if inner == "Resource*":
                step, inner = f"{name}.ofType(Organization)", "Organization*"
            found.append(Chain((step,), (inner,)))
            if longest > 1:
                below = chains(inner.rstrip("*"), longest - 1)
                found += [Chain((step, *c.steps), (inner, *c.kinds)) for c in below]
    return tuple(found)


class Writer:
    """Writes paths by drawing; ``of_item`` says whether ``$index`` has a meaning."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def number(self, most: int = 3) -> int:
        return int(self.draw(st.integers(0, most)))

    # Values

    def one(self, family: str, kind: str, depth: int) -> str:
        """A path with at most one value of a family, mostly."""
        written = self.pick(ONE[family])(self, kind, depth) if depth > 0 else ""
        return written or self.plain(family, kind)

    def plain(self, family: str, kind: str) -> str:
        """A literal, or elements down to the first value of the family."""
        found = [c for c in chains(kind) if FAMILY_OF.get(c.kind) == family]
        is_here = FAMILY_OF.get(kind) == family
        if not (found or is_here) or self.number(4) == 0:
            return str(self.pick(LITERALS[family]))
        if not found:
            return "$this"
        chain = self.pick(found)
        several = any(k.endswith("*") for k in chain.kinds) and self.number(9) > 0
        return ".".join(chain.steps) + (".first()" if several else "")

    def boolean(self, kind: str, depth: int) -> str:
        return self.one("boolean", kind, depth)

    def items(self, kind: str, depth: int, wanted: Callable[[str], bool]) -> tuple[str, str]:
        """A path with any number of items, and their type."""
        found = [c for c in chains(kind) if wanted(c.kind)]
        if not found:
            return "$this", kind
        chain = self.pick(found)
        text = ""
        for step, inner in zip(chain.steps, chain.kinds, strict=True):
            text += f".{step}" + self.narrowed(inner.rstrip("*"), depth)
        return "$this" + text if self.number() == 0 else text[1:], chain.kind

    def narrowed(self, kind: str, depth: int) -> str:
        """Perhaps a function that leaves fewer items of the same type."""
        if self.number(2):
            return ""
        n = self.pick((0, 1, 2, -1))
        plain = (".first()", ".last()", ".tail()", f".skip({n})", f".take({n})", f"[{n}]",
                 ".distinct()")  # fmt: skip
        if depth <= 0 or self.number(2) == 0:
            return str(self.pick(plain))
        return f".where({self.boolean(kind, depth - 1)})"

    def list_of(self, family: str, kind: str, depth: int) -> str:
        """A path with any number of values of a family."""
        if depth > 0 and self.number() == 0:
            left, right = (self.list_of(family, kind, depth - 1) for _ in "ab")
            shape = self.pick(("({} | {})", "({}).combine({})", "({}).union({})",
                               "({}).intersect({})", "({}).exclude({})"))  # fmt: skip
            return str(shape).format(left, right)
        if depth > 0 and self.number() == 0:
            items, inner = self.items(kind, depth - 1, lambda k: k in ELEMENTS)
            return f"{items}.select({self.one(family, inner, depth - 1)})"
        text, inner = self.items(kind, depth, lambda k: FAMILY_OF.get(k) == family)
        return text if FAMILY_OF.get(inner) == family else self.plain(family, kind)

    def any_list(self, kind: str, depth: int) -> str:
        return self.list_of(str(self.pick(tuple(FAMILIES))), kind, depth)

    def any_one(self, kind: str, depth: int) -> str:
        return self.one(str(self.pick(tuple(FAMILIES))), kind, depth)

    def test_on_items(self, kind: str, depth: int) -> str:
        """``exists``, ``all`` and the like, with a condition for each item."""
        items, inner = self.items(kind, depth - 1, lambda _: True)
        name = self.pick(("exists", "all", "where"))
        condition = self.boolean(inner, depth - 1)
        if self.number() == 0:
            condition = f"$index {self.pick(('=', '>'))} {self.number()}"
        return f"{items}.{name}({condition})" + (".exists()" if name == "where" else "")

    def pair(self, kind: str, depth: int, families: tuple[str, ...]) -> tuple[str, str]:
        family = str(self.pick(families))
        return self.one(family, kind, depth), self.one(family, kind, depth)


Way = Callable[[Writer, str, int], str]


def of(family: str, shape: str) -> Way:
    """One value in a shape such as ``({}).upper()``."""
    return lambda w, kind, d: shape.format(w.one(family, kind, d - 1))


def of_list(family: str, shape: str) -> Way:
    return lambda w, kind, d: shape.format(w.list_of(family, kind, d - 1))


def of_two(family: str, *shapes: str) -> Way:
    return lambda w, kind, d: w.pick(shapes).format(
        w.one(family, kind, d - 1), w.one(family, kind, d - 1)
    )


def chosen(family: str) -> Way:
    def written(w: Writer, kind: str, d: int) -> str:
        yes, no = (w.one(family, kind, d - 1) for _ in "ab")
        return f"iif({w.boolean(kind, d - 1)}, {yes}, {no})"

    return written


def narrowed(family: str) -> Way:
    return lambda w, kind, d: (
        w.list_of(family, kind, d) + w.pick((".first()", ".last()", "[1]", ".single()", ""))
    )


def plain(family: str) -> Way:
    return lambda w, kind, _: w.plain(family, kind)


def converted(target: str, shape: str = "({}).to{}()") -> Way:
    def written(w: Writer, kind: str, d: int) -> str:
        return shape.format(w.one(w.pick(CONVERSIONS[target]), kind, d - 1), target)

    return written


def compared(w: Writer, kind: str, d: int) -> str:
    ordered = ("text", "integer", "decimal", "moment", "time")
    left, right = w.pair(kind, d - 1, ordered)
    return f"({left} {w.pick(('<', '<=', '>', '>='))} {right})"


def equated(w: Writer, kind: str, d: int) -> str:
    left, right = w.pair(kind, d - 1, tuple(FAMILIES))
    return f"({left} {w.pick(('=', '!=', '~', '!~'))} {right})"


def equated_lists(w: Writer, kind: str, d: int) -> str:
    family = str(w.pick(tuple(FAMILIES)))
    left, right = (w.list_of(family, kind, d - 1) for _ in "ab")
    return f"({left} {w.pick(('=', '!=', '~', '!~'))} {right})"


def mixed_numbers(w: Writer, kind: str, d: int) -> str:
    sides = [w.one("integer", kind, d - 1), w.one("decimal", kind, d - 1)]
    left, right = sides if w.number(1) else sides[::-1]
    return f"({left} {w.pick(('=', '<', '>=', '!='))} {right})"


def member_of(w: Writer, kind: str, d: int) -> str:
    family = str(w.pick(tuple(FAMILIES)))
    item, items = w.one(family, kind, d - 1), w.list_of(family, kind, d - 1)
    return f"({item} in {items})" if w.number(1) else f"({items} contains {item})"


def subsets(w: Writer, kind: str, d: int) -> str:
    family = str(w.pick(tuple(FAMILIES)))
    left, right = (w.list_of(family, kind, d - 1) for _ in "ab")
    return f"({left}).{w.pick(('subsetOf', 'supersetOf'))}({right})"


def typed(w: Writer, kind: str, d: int) -> str:
    names = [n for n, written in ELEMENTS.get(kind, {}).items() if written != "Resource*"]
    singles = [n for n in names if not ELEMENTS[kind][n].endswith("*")]
    if not singles:
        return ""
    name = w.pick(singles)
    inner = w.pick((*ELEMENTS[kind][name].split(), "string", "Quantity", "boolean"))
    is_choice = " " in ELEMENTS[kind][name]
    inner = w.pick(ELEMENTS[kind][name].split()) if is_choice else inner
    return f"({name} is {inner})" if w.number(1) else f"{name}.is({inner})"


def presence(w: Writer, kind: str, d: int) -> str:
    items, _ = w.items(kind, d - 1, lambda _: True)
    return items + str(w.pick((".exists()", ".empty()", ".hasValue()", ".isDistinct()")))


def keyed(w: Writer, kind: str, d: int) -> str:
    items, inner = w.items(kind, d - 1, lambda k: k == "Reference")
    if inner != "Reference":
        return ""
    target = w.pick(("", "Patient", "Organization"))
    return f"{items}.getReferenceKey({target}).first()"


def extended(w: Writer, kind: str, d: int) -> str:
    """A primitive's extension, or a complex element's."""
    found = [c for c in chains(kind) if c.kind not in {"id", "Organization"}]
    if not found:
        return ""
    steps = ".".join(w.pick(found).steps)
    return f"{steps}.extension('{w.pick(URLS)}').value.ofType(string).first()"


ONE: dict[str, tuple[Way, ...]] = {
    "text": (
        plain("text"), plain("text"), narrowed("text"), chosen("text"), keyed, extended,
        of("text", "({}).upper()"), of("text", "({}).lower()"), of("text", "({}).trim()"),
        lambda w, k, d: f"({w.one('text', k, d - 1)}).substring({w.one('integer', k, d - 1)})",
        lambda w, k, d: "({}).substring({}, {})".format(
            w.one("text", k, d - 1), w.number(), w.one("integer", k, d - 1)),
        lambda w, k, d: f"({w.one('text', k, d - 1)}).replace({w.pick(LITERALS['text'])}, 'x')",
        lambda w, k, d: f"({w.one('text', k, d - 1)}).replaceMatches({w.pick(PATTERNS)}, '<$0>')",
        of_two("text", "({} + {})", "({} & {})"),
        of_list("text", "({}).join(',')"), of_list("text", "({}).join()"),
        of("text", "({}).split('b').last()"), converted("String"),
    ),
    "integer": (
        plain("integer"), narrowed("integer"), chosen("integer"),
        lambda w, k, d: f"({w.any_list(k, d - 1)}).count()",
        of("text", "({}).length()"), of_two("text", "({}).indexOf({})"),
        of_two("integer", "({} + {})", "({} - {})", "({} * {})", "({} div {})", "({} mod {})"),
        of_two("decimal", "({} div {})"),
        of("decimal", "({}).ceiling()"), of("decimal", "({}).floor()"),
        of("decimal", "({}).truncate()"), of("integer", "-({})"), of("integer", "({}).abs()"),
        converted("Integer"),
    ),
    "decimal": (
        plain("decimal"), narrowed("decimal"), chosen("decimal"),
        of_two("decimal", "({} + {})", "({} - {})", "({} * {})", "({} / {})", "({} mod {})"),
        of_two("integer", "({} / {})"),
        lambda w, k, d: f"({w.one('integer', k, d - 1)} * {w.one('decimal', k, d - 1)})",
        lambda w, k, d: "iif({}, {}, {})".format(
            w.boolean(k, d - 1), w.one("integer", k, d - 1), w.one("decimal", k, d - 1)),
        of("decimal", "({}).round(1)"), of("decimal", "({}).abs()"), of("decimal", "-({})"),
        lambda w, k, _: f"{w.plain('decimal', k)}.{w.pick(('low', 'high'))}Boundary()",
        converted("Decimal"),
    ),
    "boolean": (
        plain("boolean"), narrowed("boolean"), chosen("boolean"), presence, typed, compared,
        compared, equated, equated, equated_lists, mixed_numbers, member_of, subsets,
        Writer.test_on_items, Writer.test_on_items,
        of_two("boolean", "({} and {})", "({} or {})", "({} xor {})", "({} implies {})"),
        of_two("boolean", "({} and {})", "({} or {})", "({} xor {})", "({} implies {})"),
        of("boolean", "({}).not()"),
        of_two("text", "({}).startsWith({})", "({}).endsWith({})", "({}).contains({})"),
        lambda w, k, d: f"({w.one('text', k, d - 1)}).matches({w.pick(PATTERNS)})",
        of_list("boolean", "({}).allTrue()"), of_list("boolean", "({}).anyFalse()"),
        of_list("boolean", "({}).anyTrue()"), of_list("boolean", "({}).allFalse()"),
        lambda w, k, d: f"({w.any_list(k, d - 1)}).isDistinct()",
        lambda w, k, d: converted(w.pick(tuple(CONVERSIONS)), "({}).convertsTo{}()")(w, k, d),
        converted("Boolean"),
    ),
    "moment": (
        plain("moment"), narrowed("moment"), converted("Date"), converted("DateTime"),
        lambda w, k, _: f"{w.plain('moment', k)}.{w.pick(('low', 'high'))}Boundary()",
    ),
    "time": (plain("time"), narrowed("time"), converted("Time")),
}  # fmt: skip
