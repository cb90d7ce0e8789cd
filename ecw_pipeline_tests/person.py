"""A person who signs in at the sandbox, with a browser of a few lines."""

import sys

import httpx


def decide(url: str, decision: str = "approve", patient: str = "pat-000001") -> str:
    """Open a sign-in page, decide, and say where the browser is sent then."""
    with httpx.Client() as browser:
        shown = browser.get(url)
        if shown.status_code == 200:
            shown = browser.post(url, data={"decision": decision, "patient": patient})
    assert shown.status_code == 303, shown.text
    return shown.headers["location"]


def go(url: str, decision: str = "approve", patient: str = "pat-000001") -> httpx.Response:
    """Sign in, and be sent back to whoever waits for it."""
    return httpx.get(decide(url, decision, patient))


if __name__ == "__main__":
    go(sys.argv[1])
