"""Telling people by a webhook: chat services and pagers take such a message."""

import httpx

from ecw_pipeline.settings import Settings

TIMEOUT_SECONDS = 10.0


def alert(settings: Settings, words: str) -> str:
    """Send words to the webhook, if one is set; returns what went wrong, in words.

    An alert that cannot be sent is told where it would have been, and stops nothing. The address
    is a secret: it is never repeated.
    """
    if settings.alert_webhook is None or not words:
        return ""
    url = settings.alert_webhook.get_secret_value()
    try:
        reply = httpx.post(url, json={"text": words}, timeout=TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"the alert could not be sent: {type(error).__name__}"
    if reply.is_error:
        return f"the alert was refused: HTTP {reply.status_code}"
    return ""
