"""What a resource says of one of its attachments, which of them we want, and what came of one.

Source: FHIR R4, "Attachment".
"""

import base64
import binascii
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ecw_pipeline.ledger_rows import AttachmentStage

OCTET_STREAM = "application/octet-stream"
# What servers say of a file when they do not know what it is.
_SAYS_NOTHING = frozenset({OCTET_STREAM, "binary/octet-stream", "application/binary"})
# Other spellings of one kind of file.
_KINDS = {"jpg": "jpeg", "pjpeg": "jpeg", "x-pdf": "pdf", "x-png": "png", "x-rtf": "rtf"}
_SHA1_BYTES = 20
# RFC 6838, 4.2. What else a resource says has no place in a request's header.
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")


def media_type(content_type: str) -> str:
    """``text/html`` of ``Text/HTML; charset=utf-8``; empty where it is none or says nothing."""
    name = content_type.partition(";")[0].strip().lower()
    return name if _MEDIA_TYPE.fullmatch(name) and name not in _SAYS_NOTHING else ""


def kind_of(content_type: str) -> str:
    """What tells one kind of file from another: ``xml`` of ``application/hl7-cda+xml``."""
    subtype = media_type(content_type).rpartition("/")[2].rpartition("+")[2]
    return _KINDS.get(subtype, subtype)


@dataclass(frozen=True)
class Rules:
    """Which attachments are wanted: patterns of MIME types, and the largest size in bytes."""

    content_types: tuple[str, ...]
    max_bytes: int

    def wants(self, content_type: str) -> bool:
        """Whether a MIME type is one of those wanted; what says nothing is ``octet-stream``."""
        name = media_type(content_type) or OCTET_STREAM
        return any(fnmatchcase(name, pattern.lower()) for pattern in self.content_types)


@dataclass(frozen=True)
class Declared:
    """What the resource says of an attachment; empty or None where it is silent.

    Args:
        size_bytes: ``Attachment.size``, before base64.
        sha1: ``Attachment.hash`` as received: a SHA-1 in base64.
    """

    content_type: str = ""
    size_bytes: int | None = None
    sha1: str = ""

    @property
    def digest(self) -> bytes:
        """The SHA-1; empty where what stands there is none, so that nothing is held against it."""
        try:
            found = base64.b64decode(self.sha1, validate=True)
        except (binascii.Error, ValueError):
            return b""
        return found if len(found) == _SHA1_BYTES else b""

    def judge(self, sha1: bytes, size_bytes: int) -> "Outcome | None":
        """What is wrong with a file that came; None where it is what the resource says.

        A hash that fits outweighs the size: some servers count wrongly.
        """
        if self.digest == sha1 or (not self.digest and self._has_size(size_bytes)):
            return None
        if self.size_bytes is not None and size_bytes < self.size_bytes:
            return Outcome(
                "failed",
                error=f"it is cut short: {size_bytes} of {self.size_bytes} bytes came"
                " → run again: it is fetched anew",
            )
        what = "hash" if self.digest else "size"
        return Outcome(
            "changed",
            size_bytes=size_bytes,
            error=f"its {what} is not what the resource says: the content has changed since"
            " → the next export brings the resource as it is now, or run with --retry",
        )

    def _has_size(self, size_bytes: int) -> bool:
        """Whether that is the size; some servers count the base64, which is a third longer."""
        return self.size_bytes in (None, size_bytes, -(-size_bytes // 3) * 4)


@dataclass(frozen=True)
class Outcome:
    """What came of an attachment: its state and, of a file that is there, which one it is.

    Args:
        content_type: what the file is, as the server or the resource says.
        error: what is wrong and what to do; never patient content, tokens or queries.
    """

    state: AttachmentStage
    sha256: str = ""
    size_bytes: int = 0
    content_type: str = ""
    error: str = ""


def too_large(size_bytes: int, rules: Rules) -> Outcome:
    """It is beyond the limit."""
    return Outcome(
        "too_large",
        size_bytes=size_bytes,
        error=f"it is larger than {rules.max_bytes >> 20} MB"
        " → raise ECW_MAX_ATTACHMENT_MEGABYTES if it is wanted, and run again",
    )


def unwanted(content_type: str) -> Outcome:
    """Its type is not among those of the settings."""
    name = media_type(content_type) or OCTET_STREAM
    return Outcome(
        "unwanted",
        content_type=content_type,
        error=f"{name} is not in ECW_ATTACHMENT_TYPES → add it there if it is wanted",
    )


def wrong_type(content_type: str) -> Outcome:
    """Something else came: a page to sign in at, say."""
    name = media_type(content_type) or OCTET_STREAM
    return Outcome(
        "wrong_type",
        error=f"the server sent {name} instead of what the resource says"
        " → look at its address, then run with --retry",
    )
