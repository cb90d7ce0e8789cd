"""FHIRPath text to a tree, for the plain reading; shares nothing with the compiler's parser.

A tree is a tuple: its first item says what it is, the rest are its parts.

Source: FHIRPath 2.0, the grammar in its appendix.
"""

import re
from typing import Any, TypeAlias

Tree: TypeAlias = tuple[Any, ...]

# From the loosest to the tightest.
LEVELS = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "!=", "~", "!~"),
    ("<", "<=", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
WORD = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*[\s\S]*?\*/)
    |(?P<moment>@[0-9-]*(?:T(?:[0-9:]+(?:\.[0-9]+)?)?(?:Z|[+-][0-9:]+)?)?)
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<text>'(?:[^'\\]|\\[\s\S])*')
    |(?P<quoted>`(?:[^`\\]|\\[\s\S])*`)
    |(?P<name>[%$]?[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign><=|>=|!=|!~|[^\s])""",
    re.VERBOSE,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|[\s\S])", one, text[1:-1])


def read_path(text: str) -> Tree:
    words = [(m.lastgroup or "", m[0]) for m in WORD.finditer(text) if m.lastgroup != "skip"]
    reader = Reader([*words, ("end", "")])
    tree = reader.level(0)
    assert reader.words == [("end", "")], f"left over in {text}: {reader.words}"
    return tree


class Reader:
    """The words not read yet."""

    def __init__(self, words: list[tuple[str, str]]) -> None:
        self.words = words

    def next_is(self, *texts: str) -> bool:
        kind, text = self.words[0]
        return kind in {"name", "sign"} and text in texts

    def take(self) -> tuple[str, str]:
        return self.words.pop(0)

    def level(self, n: int) -> Tree:
        if n == len(LEVELS):
            return self.signed()
        left = self.level(n + 1)
        while self.next_is(*LEVELS[n]):
            operator = self.take()[1]
            right = self.type_name() if operator in {"is", "as"} else self.level(n + 1)
            left = ("operator", operator, left, right)
        return left

    def type_name(self) -> str:
        name = self.take()[1]
        while self.next_is("."):
            self.take()
            name = self.take()[1]
        return name

    def signed(self) -> Tree:
        if self.next_is("-", "+"):
            sign = self.take()[1]
            return ("sign", sign, self.signed())
        return self.chain()

    def chain(self) -> Tree:
        tree = self.start()
        while self.next_is(".", "["):
            if self.take()[1] == ".":
                tree = self.named(tree)
            else:
                tree = ("item", tree, self.level(0))
                assert self.take()[1] == "]"
        return tree

    def named(self, source: Tree) -> Tree:
        kind, name = self.take()
        name = unescaped(name) if kind == "quoted" else name
        if not self.next_is("("):
            return ("member", source, name)
        self.take()
        arguments: list[Tree] = []
        while not self.next_is(")"):
            arguments.append(self.level(0))
            if self.next_is(","):
                self.take()
        self.take()
        return ("call", source, name, arguments)

    def start(self) -> Tree:
        kind, word = self.words[0]
        if kind in {"name", "quoted"} and word[0] not in "%$" and word not in {"true", "false"}:
            return self.named(("this",))
        self.take()
        match kind, word:
            case "sign", "(":
                tree = self.level(0)
                assert self.take()[1] == ")"
                return tree
            case "sign", "{":
                assert self.take()[1] == "}"
                return ("nothing",)
            case "name", "$this":
                return ("this",)
            case "name", "$index":
                return ("index",)
            case "name", "true" | "false":
                return ("value", word == "true", "boolean")
            case "name", _:
                return ("constant", word[1:])
            case "number", _:
                return ("value", word, "decimal" if "." in word else "integer")
            case "text", _:
                return ("value", unescaped(word), "string")
            case "moment", _:
                return ("moment", word[1:])
        raise AssertionError(f"cannot read {word!r}")
