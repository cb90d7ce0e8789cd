"""Every error of this package with its next step, read from the code that raises it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
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
_HEAD = """# Troubleshooting

Written by `make docs` from the code that raises each error: do not edit.

A command that fails says what is wrong, then what to do, and ends with an exit code that says who
must act. In Dagster the same words are the step's failure. `…` stands for what an error names: a
file, a line, a setting, a host. No error names a patient, a token or a URL's query. `ecw doctor`
looks for the broken link by itself; `ecw --debug …` shows where in the code an error was raised,
and `ECW_DEBUG=1` every request.

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
    found = _found()
    parts = [_HEAD]
    for kind, meaning in _KINDS:
        parts.append(f"\n## Exit code {kind.exit_code}: {meaning.lower()}\n\n")
        parts.append("| what it says | what to do |\n| --- | --- |\n")
        parts += [
            f"| {_cell(one.message)} | {_cell(one.next_step or _BY_DEFAULT[kind.__name__])} |\n"
            for one in sorted(found.get(kind.__name__, ()))
        ]
    return "".join(parts)


def _found() -> dict[str, set[Trouble]]:
    """The errors by the name of their kind."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for path in sorted(Path(ecw_pipeline.__path__[0]).rglob("*.py"))
    ]
    kind_of = {kind.__name__: kind.__name__ for kind, _ in _KINDS}
    for tree in trees:
        kind_of |= dict(_subclasses(tree, kind_of))
    found: dict[str, set[Trouble]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            name = node.func.id if _is_named_call(node) else ""  # type: ignore[attr-defined]
            if name in kind_of and (trouble := _trouble(node)):  # type: ignore[arg-type]
                found.setdefault(kind_of[name], set()).add(trouble)
    return found


def _subclasses(tree: ast.Module, kind_of: dict[str, str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in kind_of:
                    yield node.name, kind_of[base.id]


def _is_named_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _trouble(call: ast.Call) -> Trouble | None:
    """What a call says, where it says it in words of its own."""
    texts = [_text(argument) for argument in call.args[:2]]
    if not texts or not texts[0].strip("… "):
        return None
    return Trouble(texts[0], texts[1] if len(texts) > 1 else "")


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(_text(part) for part in node.values)
        case ast.BinOp(op=ast.Add()):
            return _text(node.left) + _text(node.right)
        case ast.IfExp():
            return f"{_text(node.body)} / {_text(node.orelse)}"
        case _:
            return "…"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")
