"""Alerts by e-mail, handed to a real mail server on loopback."""

import asyncio
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.alerts import alert


class MailServer:
    """Speaks as much SMTP as a client needs; ``answers`` takes the place of usual replies."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.logins = 0
        self.answers: dict[bytes, bytes] = {}
        self.loop = asyncio.new_event_loop()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.server = self.loop.run_until_complete(start)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        usual = {b"EHLO": b"250-here\r\n250 AUTH PLAIN", b"DATA": b"354 go on", b"QUIT": b"221 bye"}
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            self.logins += verb == b"AUTH"
            usual[b"AUTH"] = b"235 welcome"
            answer = self.answers.get(verb) or usual.get(verb, b"250 fine")
            writer.write(answer + b"\r\n")
            if answer[:3] == b"354":
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            await writer.drain()
            if verb == b"QUIT":
                break
        writer.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    made = MailServer()
    thread = threading.Thread(target=made.loop.run_forever)
    thread.start()
    yield made
    made.loop.call_soon_threadsafe(made.server.close)
    made.loop.call_soon_threadsafe(made.loop.stop)
    thread.join()
    made.loop.close()


@pytest.fixture
def settings(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ECW_ALERT_EMAIL", "ops@example.org, boss@example.org")
    monkeypatch.setenv("ECW_SMTP_URL", f"smtp://us:s%40cret@127.0.0.1:{mail.port}")
    return Settings.from_environment()


def test_words_are_mailed_to_everybody(mail: MailServer, settings: Settings) -> None:
    assert alert(settings, "ecw_pipeline: land_exports failed\nsee the run – ünd so on") == ""

    (raw,) = mail.mails
    sent = message_from_bytes(raw, policy=policy.default)
    assert sent["To"] == "ops@example.org, boss@example.org"
    assert sent["Subject"] == "ecw_pipeline: land_exports failed"
    body = sent.get_body()
    assert body is not None
    assert "see the run – ünd so on" in body.get_content()
    assert mail.logins == 1


@pytest.mark.parametrize(
    ("verb", "answer", "says"),
    [
        (b"AUTH", b"535 wrong", "SMTPAuthenticationError"),
        (b"RCPT", b"550 nobody", "SMTPRecipientsRefused"),
        (b"DATA", b"554 no", "SMTPDataError"),
    ],
)
def test_what_a_mail_server_refuses_is_said_without_its_address(
    mail: MailServer, settings: Settings, verb: bytes, answer: bytes, says: str
) -> None:
    mail.answers[verb] = answer

    assert alert(settings, "words") == f"the alert could not be mailed: {says}"


def test_without_a_server_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECW_ALERT_EMAIL", "ops@example.org")
    assert "ECW_SMTP_URL is not set" in alert(Settings.from_environment(), "words")

    monkeypatch.setenv("ECW_SMTP_URL", "smtp://127.0.0.1:9")
    assert "ConnectionRefusedError" in alert(Settings.from_environment(), "words")


@pytest.mark.parametrize("url", ["https://mail.example.org", "smtp://", "mail.example.org:25"])
def test_an_address_of_no_mail_server_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECW_SMTP_URL", url)

    with pytest.raises(ConfigurationError, match=r"ECW_SMTP_URL.*smtps://user:password@host"):
        Settings.from_environment()
