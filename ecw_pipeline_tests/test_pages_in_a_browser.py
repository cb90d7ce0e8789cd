"""The dictionary and the report, seen as people see them; pictures are left beside the test."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import expect

from ecw_pipeline.report.page import write_report
from ecw_pipeline.report.plots import PLOTS
from ecw_pipeline_tests.browser import WIDTHS, needs_chromium, open_browser, visit
from ecw_pipeline_tests.empty_warehouse import empty_warehouse
from ecw_pipeline_tests.view_definitions.tables import built_in_tables

DICTIONARY = Path(__file__).parents[1] / "docs" / "tables.html"


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_is_found_opened_and_drawn(width: int, tmp_path: Path) -> None:
    columns = built_in_tables()["observation_component"].in_warehouse.columns
    with open_browser() as browser:
        seen = visit(browser, DICTIONARY, width)
        page = seen.page
        page.set_default_timeout(5_000)
        page.get_by_role("searchbox").fill("observation_component value_time")
        page.get_by_role("navigation").get_by_text("observation_component", exact=True).click()
        page.screenshot(path=tmp_path / "table.png", full_page=True)

        expect(page.get_by_role("heading", level=1)).to_have_text("core.observation_component")
        named = page.locator("tbody tr td:first-child code").all_inner_texts()
        assert named == [column.name for column in columns]
        marked = page.locator("tr.hit td:first-child code").all_inner_texts()
        assert marked == ["value_time"]
        assert "core.patient" in page.locator("svg text").all_text_contents()
        page.locator("svg g").filter(has_text="core.patient").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("core.patient")
        page.get_by_role("searchbox").fill("no such thing")
        expect(page.get_by_text("Nothing has these words.")).to_be_visible()

    assert (seen.complaints, seen.asked_for) == ([], [DICTIONARY.as_uri()])


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_plots_are_drawn_and_open_to_their_numbers(width: int, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    _write_small_report(tmp_path / "warehouse.duckdb", report)
    with open_browser() as browser:
        seen = visit(browser, report, width)
        page = seen.page
        page.screenshot(path=tmp_path / "report.png", full_page=True)

        plots = page.locator("section").filter(has=page.locator("svg"))
        assert page.locator("section").count() == len(PLOTS)
        assert plots.get_by_role("heading").all_inner_texts() == [
            "Who the patients are",
            "How soon reports are issued",
        ]
        for plot in plots.all():
            assert plot.locator("svg rect").count() > 0
            box = plot.locator("svg").bounding_box()
            assert box is not None
            assert box["width"] >= 500  # else its words could not be read
            plot.get_by_text("numbers").click()
            expect(plot.get_by_role("table")).to_be_visible()
        assert seen.fits()

    assert (seen.complaints, seen.asked_for) == ([], [report.as_uri()])


def _write_small_report(warehouse: Path, report: Path) -> None:
    empty_warehouse(warehouse)
    with duckdb.connect(warehouse) as connection:
        connection.execute(
            """
            INSERT INTO marts.patients_by_age_band BY NAME
                SELECT 'p' AS connection_id, unnest(['0-9', '0-9', '10-19']) AS age_band,
                    unnest([0, 0, 10]) AS age_from, unnest(['female', 'male', 'female']) AS gender,
                    unnest([1234, 7, 20]) AS patients;
            INSERT INTO marts.report_turnaround BY NAME
                SELECT unnest(['X-ray', 'Lipids']) AS report, unnest([12.25, 40.5]) AS median_hours;
            """
        )
    write_report(warehouse, report, datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
