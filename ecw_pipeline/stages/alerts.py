"""Telling people by a webhook, which chat services and pagers take, and by e-mail."""

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import httpx

from ecw_pipeline.fhir_client.providers import is_loopback
from ecw_pipeline.settings import Settings

TIMEOUT_SECONDS = 10.0
_SUBMISSION_PORTS = {"smtp": 587, "smtps": 465}


def alert(settings: Settings, words: str) -> str:
    """Send words to the webhook and the addresses that are set; returns what went wrong, in words.

    An alert that cannot be sent is told where it would have been, and stops nothing. Where it goes
    is a secret: it is never repeated.
    """
    if not words:
        return ""
    problems = (_posted(settings, words), _mailed(settings, words))
    return "; ".join(problem for problem in problems if problem)


def _posted(settings: Settings, words: str) -> str:
    if settings.alert_webhook is None:
        return ""
    url = settings.alert_webhook.get_secret_value()
    try:
        reply = httpx.post(url, json={"text": words}, timeout=TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"the alert could not be sent: {type(error).__name__}"
    if reply.is_error:
        return f"the alert was refused: HTTP {reply.status_code}"
    return ""


def _mailed(settings: Settings, words: str) -> str:
    """Source: RFC 6409 (submission), RFC 3207 (STARTTLS)."""
    if not settings.alert_email:
        return ""
    if settings.smtp_url is None:
        return "the alert could not be mailed: ECW_SMTP_URL is not set"
    message = EmailMessage()
    message["Subject"] = words.splitlines()[0][:120]
    message["From"] = settings.alert_email[0]
    message["To"] = ", ".join(settings.alert_email)
    message.set_content(words)
    try:
        _submit(settings.smtp_url.get_secret_value(), message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return f"the alert could not be mailed: {type(error).__name__}"
    return ""


def _submit(url: str, message: EmailMessage) -> None:
    """Hand a message to the server; a password never travels in the open beyond this machine."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _SUBMISSION_PORTS[parts.scheme]
    trust, is_tls = ssl.create_default_context(), parts.scheme == "smtps"
    client = (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=trust)
        if is_tls
        else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    )
    with client:
        if not is_tls and not is_loopback(host):
            client.starttls(context=trust)
        if parts.username:
            client.login(unquote(parts.username), unquote(parts.password or ""))
        client.send_message(message)
