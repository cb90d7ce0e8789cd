"""The text of PDF files, where the extra `pdf` is installed; kept beside each file.

A file from outside may take its reader for ever, or all memory: it is read in a process of its own,
which is told nothing and may not last.
"""

import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ecw_pipeline.attachments.declared import kind_of
from ecw_pipeline.files import finished_file

# What one file may take: time, memory and length of text. One that takes more has no text.
LONGEST_SECONDS = 60
_LIMITS = {
    resource.RLIMIT_CPU: LONGEST_SECONDS,
    resource.RLIMIT_AS: 1 << 30,
    resource.RLIMIT_FSIZE: 10 << 20,
}


def is_pdf(content_type: str) -> bool:
    """Whether a MIME type, in any of its spellings, is that of PDF."""
    return kind_of(content_type) == "pdf"


def text_beside(path: Path) -> Path:
    """Where the text of a file is, or would be; empty where it has none that can be read."""
    return path.with_name(f"{path.name}.txt")


def lacks_text(path: Path, content_type: str) -> bool:
    """Whether a file's text is still to be read, and can be."""
    is_due = is_pdf(content_type) and not text_beside(path).exists()
    return is_due and find_spec("pypdf") is not None


def read_text(path: Path) -> None:
    """Read the text of a PDF file, and keep it beside the file.

    Raises:
        MachineError: the disk is full or the folder is not writable.
    """
    command = [sys.executable, "-I", "-m", __name__, str(path)]
    with finished_file(text_beside(path)) as stream:
        try:
            done = subprocess.run(  # noqa: S603  ourselves
                command,
                env={},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.DEVNULL,
                timeout=LONGEST_SECONDS,
                check=False,
            )
            is_whole = done.returncode == 0
        except subprocess.TimeoutExpired:
            is_whole = False
        if not is_whole:
            stream.truncate(0)


def _tell(path: str) -> None:
    """Write the text of a file's pages to standard output, within limits."""
    for what, most in _LIMITS.items():
        resource.setrlimit(what, (most, most))
    from pypdf import PdfReader

    for page in PdfReader(path).pages:
        sys.stdout.buffer.write(f"{page.extract_text().strip()}\n".encode(errors="replace"))


if __name__ == "__main__":
    _tell(sys.argv[1])
