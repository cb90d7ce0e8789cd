"""The report: every plot can be drawn, shows the marts' numbers, and needs no network."""

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from typer.testing import CliRunner

from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.report.drawing import draw, in_words
from ecw_pipeline.report.page import write_report
from ecw_pipeline.report.plots import PLOTS, Kind, Plot, Rows, Unit
from ecw_pipeline_tests.empty_warehouse import empty_warehouse

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "warehouse.duckdb"
    empty_warehouse(path)
    return path


@pytest.fixture
def warehouse(empty: Path, tmp_path: Path) -> Path:
    """A warehouse with some rows in marts."""
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(empty.read_bytes())
    with duckdb.connect(path) as connection:
        connection.execute(
            """
            INSERT INTO marts.patients_by_age_band BY NAME
                SELECT 'p' AS connection_id, unnest(['0-9', '0-9', '10-19']) AS age_band,
                    unnest([0, 0, 10]) AS age_from, unnest(['female', 'male', 'female']) AS gender,
                    unnest([1234, 7, 20]) AS patients;
            INSERT INTO marts.report_turnaround BY NAME
                SELECT '<script>alert(1)</script>' AS report, 12.25 AS median_hours;
            INSERT INTO marts.flu_immunization BY NAME
                SELECT unnest(['2024/2025', '2025/2026']) AS season, '65+' AS age_band,
                    8 AS patients, unnest([2, 6]) AS immunized;
            DROP TABLE marts.task_turnaround;
            """
        )
    return path


def _page(warehouse: Path, tmp_path: Path) -> str:
    write_report(warehouse, tmp_path / "out" / "report.html", AT)
    return (tmp_path / "out" / "report.html").read_text("utf-8")


def _section(page: str, title: str) -> str:
    found = re.search(rf"<section><h2>{title}</h2>.*?</section>", page, re.DOTALL)
    assert found
    return found[0]


def test_of_an_empty_warehouse_every_plot_says_that_there_is_nothing(
    empty: Path, tmp_path: Path
) -> None:
    page = _page(empty, tmp_path)

    assert page.count("Nothing yet.") == len(PLOTS)
    assert "nothing has been loaded yet" in page


def test_a_pyramid_shows_both_halves(warehouse: Path, tmp_path: Path) -> None:
    section = _section(_page(warehouse, tmp_path), "Who the patients are")

    cells = re.findall(r"<td[^>]*>(.*?)</td>", section)
    assert cells == ["10-19", "20", "", "0-9", "1,234", "7"]


def test_shares_and_hours_are_in_words_and_text_stays_text(warehouse: Path, tmp_path: Path) -> None:
    page = _page(warehouse, tmp_path)

    assert ">25.0 %<" in _section(page, "Who is immunised against influenza")
    assert "12.2 h" in _section(page, "How soon reports are issued")
    assert "<script" not in page


def test_a_mart_that_is_missing_is_told_of_and_stops_no_other(
    warehouse: Path, tmp_path: Path
) -> None:
    page = _page(warehouse, tmp_path)

    assert "Its mart has not been built" in _section(page, "How soon tasks are done")
    assert page.count("<svg") == 3


def test_rare_types_of_events_share_a_line(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(warehouse) as connection:
        connection.execute(
            """
            INSERT INTO marts.patient_timeline BY NAME
            SELECT 'Type' || type AS resource_type, TIMESTAMPTZ '2024-05-01' AS happened_at
            FROM range(1, 10) AS types(type), range(10 * type)
            """
        )
    section = _section(_page(warehouse, tmp_path), "What else happened, by month")

    rows = re.findall(r"<tr><td[^>]*>2024-05</td><td[^>]*>(.*?)</td><td[^>]*>(.*?)</td>", section)
    named = [(f"Type{number}", str(10 * number)) for number in range(4, 10)]
    assert rows == [*named, ("other types", "60")]


def test_the_page_asks_nobody_for_anything(warehouse: Path, tmp_path: Path) -> None:
    page = _page(warehouse, tmp_path)

    assert re.findall(r"(?:https?:)?//|\bsrc=|@import|url\(", page) == []


def test_the_page_is_for_its_owner_alone(warehouse: Path, tmp_path: Path) -> None:
    _page(warehouse, tmp_path)

    assert (tmp_path / "out" / "report.html").stat().st_mode & 0o077 == 0


def _plot(kind: Kind, unit: Unit = "count") -> Plot:
    return Plot("a & b", "why", kind, unit, ("x", "y", "z"), "")


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("bars", [("a", 0), ("b", 0)]),
        ("bars", [(None, 1.5)]),
        ("bars", [("a", -3), ("<b>", 4)]),
        ("lines", [("2024-01", "s", 1)]),
        ("lines", [("2024-01", "s", 0), ("2024-02", "s", None), ("2024-02", "t", 0)]),
        ("lines", [(f"2024-{n:02d}", f"s{n}", n) for n in range(1, 13)]),
        ("pyramid", [("0-9", None, 3), ("10-19", 0, None)]),
    ],
)
def test_any_rows_can_be_drawn(kind: Kind, rows: Rows) -> None:
    picture = ElementTree.fromstring(draw(_plot(kind), rows))

    for shape in picture.iter("rect"):
        assert float(shape.get("width", "-1")) >= 0
    assert not re.search("nan|inf", draw(_plot(kind), rows))


def test_a_bar_is_as_long_as_its_share_of_the_longest() -> None:
    picture = ElementTree.fromstring(draw(_plot("bars"), [("a", 10), ("b", 5)]))

    widths = [float(shape.get("width", "")) for shape in picture.iter("rect")]
    assert widths[0] == pytest.approx(2 * widths[1])


def test_a_line_goes_up_with_its_values() -> None:
    text = draw(_plot("lines", "share"), [("1", "s", 0.0), ("2", "s", 0.5), ("3", "s", 1.0)])

    (points,) = re.findall(r'<polyline points="([^"]*)"', text)
    xs, ys = zip(*(map(float, point.split(",")) for point in points.split()), strict=True)
    assert list(xs) == sorted(xs)
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2])
    assert ys[0] > ys[2]


def test_the_numbers_of_an_axis_have_room() -> None:
    text = draw(_plot("lines", "hours"), [("1", "s", 123457.0), ("2", "s", 0.0)])

    ends = re.findall(r'<text x="([^"]*)" y="[^"]*" text-anchor="end">([^<]*)', text)
    assert [words for _, words in ends] == ["0.0 h", "61,728.5 h", "123,457.0 h"]
    assert all(float(x) >= 8.4 * len(words) for x, words in ends)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1234567, "count", "1,234,567"),
        (0.125, "share", "12.5 %"),
        (7.25, "hours", "7.2 h"),
        (None, "count", ""),
    ],
)
def test_values_in_words(value: object, unit: Unit, words: str) -> None:
    assert in_words(value, unit) == words


def test_the_command_says_where_the_page_is(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_DATA", str(warehouse.parent))

    said = CliRunner().invoke(app, ["report"], catch_exceptions=False)

    assert (
        f"{warehouse.parent / 'report.html'}: 3 of {len(PLOTS)} plots have numbers" in said.output
    )
    assert (warehouse.parent / "report.html").exists()


def test_without_a_warehouse_it_says_how_to_fill_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no warehouse"):
        write_report(tmp_path / "no", tmp_path / "report.html", AT)
