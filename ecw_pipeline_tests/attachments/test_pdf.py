"""The text of PDF files, read by a process that may not last."""

import base64
from pathlib import Path

import pytest

from ecw_pipeline.attachments import pdf
from ecw_pipeline.attachments.pdf import lacks_text, read_text, text_beside
from ecw_pipeline.attachments.text import text_of
from ecw_pipeline.sandbox.population.documents import pdf_attachment
from ecw_pipeline_tests.builders import mode_of

PDF = "application/pdf"
CONTENT = base64.b64decode(pdf_attachment("Ankle", "2026")["data"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "abc"
    path.write_bytes(CONTENT)
    return path


def test_the_text_is_kept_beside_the_file(file: Path) -> None:
    assert lacks_text(file, "application/x-pdf")
    assert text_of(file, PDF) is None

    read_text(file)

    assert text_of(file, PDF) == "Synthetic report: Ankle\n"
    assert not lacks_text(file, PDF)
    assert mode_of(text_beside(file)) == 0o600


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4\n", CONTENT[: len(CONTENT) // 4]])
def test_a_broken_file_has_no_text_and_is_not_read_again(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    read_text(file)

    assert text_of(file, PDF) is None
    assert not lacks_text(file, PDF)


def test_a_file_that_takes_too_long_has_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "LONGEST_SECONDS", 0.001)

    read_text(file)

    assert text_beside(file).read_bytes() == b""


def test_without_the_extra_nothing_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "find_spec", lambda _: None)

    assert not lacks_text(file, PDF)


def test_other_types_are_not_read(file: Path) -> None:
    assert not lacks_text(file, "text/html")
