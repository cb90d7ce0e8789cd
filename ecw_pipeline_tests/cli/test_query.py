"""Asking the warehouse at a prompt, and by what is piped in."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ecw_pipeline_tests.empty_warehouse import empty_warehouse


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("query")
    empty_warehouse(folder / "warehouse.duckdb")
    return folder


def _run(data: Path, typed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ecw_pipeline.cli.app", "sql", "--format", "csv"],
        input=typed,
        env={**os.environ, "ECW_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_piped_in_is_asked_one_by_one(data: Path) -> None:
    done = _run(data, "select 1 as a,\n  2 as b;\n\nselect ';' as c -- no end\n;\nselect 3 as d")

    assert done.stdout.split("\n") == ["a,b", "1,2", "c", ";", "d", "3", ""]
    assert done.returncode == 0


def test_an_error_in_what_is_piped_ends_it(data: Path) -> None:
    done = _run(data, "select nothing;\nselect 1 as a;\n")

    assert done.returncode == 3
    assert "the query failed" in done.stderr
    assert done.stdout == ""


def test_an_error_about_data_names_no_value(data: Path) -> None:
    done = _run(data, "select family_name::integer from (values ('Fakename')) as t(family_name)")

    assert done.returncode == 3
    assert "the query failed: ConversionException on the data" in done.stderr
    assert "Fakename" not in done.stderr


def test_an_error_of_the_query_itself_points_into_it(data: Path) -> None:
    assert "LINE 1: select nothing" in _run(data, "select nothing").stderr


def test_several_queries_in_one_text_are_all_answered(data: Path) -> None:
    done = _run(data, "select 1 as a; select 2 as b")

    assert done.stdout.split("\n") == ["a", "1", "b", "2", ""]


@pytest.mark.parametrize("end", [b"\x04", b"exit\n", b"quit;\n"])
def test_at_a_prompt_an_error_ends_no_session(data: Path, end: bytes) -> None:
    """In a real terminal: a query over two lines, one that fails, the tables, and the end."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["ECW_DATA"] = str(data)
        os.execv(
            sys.executable,
            [sys.executable, "-m", "ecw_pipeline.cli.app", "sql", "--format", "csv"],
        )
    try:
        shown = _until(terminal, "ecw> ")
        for typed, awaited in (
            ("select 40 + 1\n", "...> "),
            ("+ 1 as answer;\n", "42"),
            ("select nothing;\n", "next: correct it"),
            ("\\d\n", "core.patient,"),
        ):
            os.write(terminal, typed.encode())
            shown += _until(terminal, awaited, "> ")  # what is typed before the prompt may be lost
        os.write(terminal, end)
        status = _ending(child, terminal)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert "answer" in shown


def _until(terminal: int, awaited: str, prompt: str = "") -> str:
    """Read until something was shown, and a prompt behind it."""
    shown, end = "", time.monotonic() + 30
    while not (awaited in shown and shown.endswith(prompt)):
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            break
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # the other side is gone
            break
    assert awaited in shown, shown
    assert shown.endswith(prompt), shown
    return shown


def _ending(child: int, terminal: int) -> int:
    """How a process ended, within half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        try:
            if select.select([terminal], [], [], 0.1)[0]:
                os.read(terminal, 4096)
        except OSError:  # its side is closed: it is ending
            time.sleep(0.05)
    raise AssertionError("it did not end")
