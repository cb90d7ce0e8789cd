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


@pytest.mark.parametrize("of_a_terminal", [True, False])
def test_rows_are_boxes_on_a_terminal_and_plain_text_elsewhere(
    of_a_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Console(force_terminal=of_a_terminal, width=20, color_system=None)
    monkeypatch.setattr(terminal, "console", asked)
    terminal.show_rows(("patient", "age"), [("[a] name of some length", 7), (None, 81)])
    shown = capsys.readouterr().out.splitlines()

    plain = [
        "patient                  age",
        "[a] name of some length    7",
        "–                         81",
    ]
    assert (shown == plain) is not of_a_terminal
    assert any("│" in line for line in shown) is of_a_terminal
    assert max(map(len, shown)) <= (20 if of_a_terminal else len(plain[0]))
