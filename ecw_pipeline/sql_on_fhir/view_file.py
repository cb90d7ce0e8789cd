"""A view as a file: its JSON with exact numbers, or a refusal that points into the file."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from ecw_pipeline.sql_on_fhir.problems import Problem, ViewError


def read_view_file(path: Path) -> Any:
    """The JSON of a view file.

    Raises:
        ViewError: the file is not JSON, or says one thing twice.
    """
    try:
        text = path.read_text("utf-8-sig")
        return json.loads(text, parse_float=Decimal, object_pairs_hook=_object)
    except UnicodeDecodeError:
        problem = Problem("", "not UTF-8 text")
    except json.JSONDecodeError as error:
        line = error.doc.split("\n")[error.lineno - 1]
        problem = Problem(f"line {error.lineno}", f"not JSON: {error.msg}", line, error.colno - 1)
    except _KeyTwiceError as error:
        problem = Problem("", f'"{error}" stands twice in one object')
    except RecursionError:
        problem = Problem("", "nested too deeply")
    raise ViewError(path.name, [problem])


class _KeyTwiceError(Exception):
    """A key of which JSON would keep the last value and drop the others in silence."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _KeyTwiceError(key)
        found[key] = value
    return found
