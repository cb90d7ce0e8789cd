"""Every error of this package with its cause and its next step, read from the code that raises it.

What usually leads to an error is no part of the code: `causes.toml` says it.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import ecw_pipeline
from ecw_pipeline import errors

_KINDS: tuple[tuple[type[errors.EcwError], str], ...] = (
    (errors.ConfigurationError, "A setting, a credential or a command's words must change"),
    (errors.TemporaryError, "Waiting and trying again is the remedy"),
    (errors.ProtocolError, "The server refused, or broke the specification"),
    (errors.BadDataError, "Data or a file cannot be read as what it claims to be"),
    (errors.UnsupportedViewError, "A ViewDefinition or a mart is wrong"),
    (errors.MachineError, "This machine is in the way"),
)
# Where an error is part of another's words, or of a line's reason in quarantine.
_BY_DEFAULT = {
    "BadDataError": "mend the file; a line of an export is in ops.quarantine with its place",
    "UnsupportedViewError": "mend the view: ecw view check says where",
}
_NAMED = re.compile(r"‹[^›]*›")
_HEAD = """# Troubleshooting

Written by `make docs` from the code that raises each error: do not edit.

A command that fails says what is wrong, then what to do, and ends with an exit code that says who
must act. In Dagster the same words are the step's failure. `‹path›`, `‹host›` and the like stand
for what an error names, `…` for the rest. No error names a patient, a token or a URL's query.
`ecw doctor` looks for the broken link by itself; `ecw --debug …` shows where in the code an error
was raised, and `ECW_DEBUG=1` every request.

Exit code 0: all went well. 1: a fault of this program; please report it. 2: the command's words are
wrong. 130: stopped by Ctrl-C; the same command continues.
"""


@dataclass(frozen=True, order=True)
class Trouble:
    """An error as it is worded."""

    message: str
    next_step: str


def page() -> str:
    """The page, by exit code."""
    found, known = troubles(), causes()
    parts = [_HEAD]
    for kind, meaning in _KINDS:
        parts.append(f"\n## Exit code {kind.exit_code}: {meaning.lower()}\n\n")
        parts.append("| what it says | why | what to do |\n| --- | --- | --- |\n")
        for one in sorted(found.get(kind.__name__, ())):
            why = known[kind.__name__].get(one.message, "")
            cells = (one.message, why, one.next_step or _BY_DEFAULT[kind.__name__])
            parts.append(f"| {' | '.join(map(_cell, cells))} |\n")
    return "".join(parts)


def causes() -> dict[str, dict[str, str]]:
    """What usually leads to each error, by the name of its kind and its message."""
    return tomllib.loads(Path(__file__).with_name("causes.toml").read_text("utf-8"))


def troubles() -> dict[str, set[Trouble]]:
    """The errors by the name of their kind."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for path in sorted(Path(ecw_pipeline.__path__[0]).rglob("*.py"))
    ]
    kind_of = {kind.__name__: kind.__name__ for kind, _ in _KINDS}
    for tree in trees:
        kind_of |= dict(_subclasses(tree, kind_of))
    found: dict[str, set[Trouble]] = {}
    for function in chain.from_iterable(map(_functions, trees)):
        told = dict(_told(function))
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                name = kind_of.get(call.func.id, "")
                if name and (trouble := _trouble(call, told)):
                    found.setdefault(name, set()).add(trouble)
    return found


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _told(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """What a function gives a name to before it raises it."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


def _subclasses(tree: ast.Module, kind_of: dict[str, str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in kind_of:
                    yield node.name, kind_of[base.id]


def _trouble(call: ast.Call, told: dict[str, ast.expr]) -> Trouble | None:
    """What a call says, where it says it in words of its own and does not pass on another's."""
    given = (told.get(one.id, one) if isinstance(one, ast.Name) else one for one in call.args[:2])
    message, next_step, *_ = [*map(_text, given), "", ""]
    if not re.search(r"\w", _NAMED.sub("", message + next_step)):
        return None
    return Trouble(message, next_step)


def _text(node: ast.expr) -> str:
    """The words of an expression, with the names of what it puts in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(_text(part) for part in node.values)
        case ast.BinOp(op=ast.Add()):
            return _text(node.left) + _text(node.right)
        case ast.IfExp():
            return f"{_text(node.body)} / {_text(node.orelse)}"
        case ast.FormattedValue():
            return _text(node.value)
        case ast.Call(func=ast.Attribute(attr="join"), args=[listed]):
            return _text(listed)
        case ast.Call(args=[argument]):
            return _text(argument)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return f"‹{name.strip('_').replace('_', ' ').lower()}›"
        case ast.Subscript(value=whole):
            return _text(whole)
        case _:
            return "…"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")
