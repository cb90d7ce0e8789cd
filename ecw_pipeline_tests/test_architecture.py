"""The code keeps its shape: imports point down, modules stay small, doors stay few."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ecw_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the top down. A module may import only from rows below its own.
ROWS = (
    ("cli",),
    ("definitions",),
    ("defs",),
    ("doctor", "dictionary", "report", "api"),
    ("stages", "sandbox"),
    ("attachments", "bulk_export", "landing", "sql_on_fhir", "warehouse", "ledger"),
    ("fhir_client", "ledger_tables", "ledger_rows"),
    ("view_definitions", "marts"),
    ("settings",),
    ("fhir",),
    ("files", "layout", "quoting", "clock", "errors", "serving"),
)
ROW_OF = {name: number for number, row in enumerate(ROWS) for name in row}
# The lowest row is the standard library's neighbour: its modules may use each other.
LOWEST = len(ROWS) - 1
# The command that runs jobs must speak Dagster; every other module leaves that to defs/.
DAGSTER_SPEAKERS = ("definitions.py", "defs/", "cli/dagster_runs.py")
TIME_AND_ENVIRONMENT = ("cli/", "settings.py", "clock.py")
ASK_TIME_OR_ENVIRONMENT = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"),
    *("os.environ", "os.getenv", "os.putenv"),
}
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _unit(path: Path) -> str:
    """The row entry a file belongs to: its folder, or itself at the top level."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own_units(path: Path) -> set[str]:
    parts = [name.split(".") for name in _imports(path) if name.startswith("ecw_pipeline.")]
    return {part[1] for part in parts if part[1] in ROW_OF}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_down(path: Path) -> None:
    unit = _unit(path)
    if unit == "__init__":
        return
    row = ROW_OF[unit]
    wrong = {
        other
        for other in _own_units(path) - {unit}
        if ROW_OF[other] < row or (ROW_OF[other] == row and row != LOWEST)
    }

    assert not wrong, f"{_name(path)} imports {wrong} from above or beside it"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_name_the_whole_path(path: Path) -> None:
    """So that the test above sees them all."""
    tree = ast.parse(path.read_text("utf-8"))

    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_the_dagster_layer_speaks_dagster(path: Path) -> None:
    speaks = any(name.split(".")[0] == "dagster" for name in _imports(path))

    assert not speaks or _name(path).startswith(DAGSTER_SPEAKERS)


def test_the_sandbox_knows_nothing_of_the_client() -> None:
    allowed = {"sandbox", "fhir", "files", "clock", "errors", "serving"}
    for path in (PACKAGE / "sandbox").rglob("*.py"):
        assert _own_units(path) <= allowed, _name(path)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_time_and_environment_are_handed_in(path: Path) -> None:
    if _name(path).startswith(TIME_AND_ENVIRONMENT):
        return
    named = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }

    assert not (named | set(_imports(path))) & ASK_TIME_OR_ENVIRONMENT


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert len(text.splitlines()) <= LONGEST_MODULE
    for function in functions:
        assert (function.end_lineno or 0) - function.lineno < LONGEST_FUNCTION, function.name


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_nothing_is_said_past_console_and_log(path: Path) -> None:
    calls = [
        n.func for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)
    ]

    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=_name)
def test_packages_hold_a_docstring_only(path: Path) -> None:
    (statement,) = ast.parse(path.read_text("utf-8")).body

    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Constant)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_module_says_what_lives_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))
