"""A real browser for the pages we make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = (1280, 390)  # a desk, a telephone

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs Chromium at {CHROMIUM}")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """A page, what it asked for, and what it complained of."""

    page: Page
    asked_for: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def fits(self) -> bool:
        """Whether nothing has to be scrolled to sideways."""
        width = "document.documentElement.scrollWidth <= window.innerWidth"
        return bool(self.page.evaluate(width))


def visit(browser: Browser, file: Path, width: int) -> Seen:
    """Open a file in a window of that width."""
    seen = Seen(browser.new_page(viewport={"width": width, "height": 900}))
    seen.page.on("request", lambda request: seen.asked_for.append(request.url))
    seen.page.on("console", lambda message: seen.complaints.append(message.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.goto(file.as_uri())
    return seen
