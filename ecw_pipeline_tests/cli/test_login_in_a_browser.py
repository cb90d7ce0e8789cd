"""`ecw login` with a real browser in between."""

import json

import pytest
from playwright.sync_api import Browser, expect

from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.browser import needs_chromium, open_browser
from ecw_pipeline_tests.cli.command import Place
from ecw_pipeline_tests.cli.test_login import settings


@needs_chromium
@pytest.mark.parametrize(
    ("button", "exit_code", "words"),
    [("Approve", 0, "signed in to practice"), ("Deny", 3, "was not approved (access_denied)")],
)
def test_a_person_decides_in_a_browser(
    sandbox: RunningSandbox, place: Place, button: str, exit_code: int, words: str
) -> None:
    known = settings(sandbox, BROWSER="true")  # opens nothing: the person takes the address
    with place.start("login", settings=known) as login, open_browser() as browser:
        try:
            assert login.stdout is not None
            login.stdout.readline()
            url = login.stdout.readline().strip()
            _decide(browser, url, button)
            stdout, stderr = login.communicate(timeout=60)
        finally:
            login.kill()

    assert (login.returncode, words in stdout + stderr) == (exit_code, True)
    if button == "Approve":
        found = place.run("search", "Observation", settings=known).stdout.splitlines()
        subjects = {json.loads(line)["subject"]["reference"] for line in found}
        assert subjects == {"Patient/pat-000002"}


def _decide(browser: Browser, url: str, button: str) -> None:
    page = browser.new_page()
    page.goto(url)
    page.get_by_label("For").select_option("pat-000002")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("You can close this window")).to_be_visible()
