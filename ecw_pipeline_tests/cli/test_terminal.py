"""Bars on a terminal tell how fast work goes and how long it takes yet."""

import io
import time

import pytest
from rich.console import Console

from ecw_pipeline.cli import terminal


@pytest.mark.parametrize(("pause", "rate"), [(0.01, "/s"), (1.1, "/min")])
def test_a_bar_tells_rate_and_time_left(
    pause: float, rate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=shown, force_terminal=True, width=120))

    with terminal.progress("practice") as step:
        for done in range(3):
            step("land", done, 40)
            time.sleep(pause)

    assert "practice: land" in shown.getvalue()
    assert "2/40" in shown.getvalue()
    assert rate in shown.getvalue()
    assert "left" in shown.getvalue()


def test_where_output_is_piped_lines_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=shown, width=120))

    with terminal.progress("practice") as step:
        for done in range(1, 41):
            step("land", done, 40)

    assert 2 <= len(shown.getvalue().splitlines()) <= 3
    assert "\x1b" not in shown.getvalue()
