"""Content that is inside a resource: base64 in an Attachment's ``data``, or in a Binary."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from ecw_pipeline.attachments.declared import Declared, Outcome, Rules, too_large, unwanted
from ecw_pipeline.attachments.store import Store

BINARY = "Binary"
# Where an element's attachments are in its resource, by their position.
_PLACES: Mapping[str, Callable[[Any, int], Any]] = {
    "DiagnosticReport.presentedForm": lambda report, n: report["presentedForm"][n],
    "DocumentReference.content": lambda document, n: document["content"][n]["attachment"],
    "Communication.payload": lambda message, n: message["payload"][n]["contentAttachment"],
    "Media.content": lambda media, _: media["content"],
    BINARY: lambda binary, _: binary,
}
_WHITE_SPACE = b" \t\r\n"


def keep_inline(
    line: bytes, element: str, ordinal: int, declared: Declared, rules: Rules, store: Store
) -> Outcome:
    """Put into the store what a received line holds of an attachment.

    Args:
        element: such as ``DocumentReference.content``; `BINARY` where the line is a Binary.
        ordinal: the attachment's position in it, from 0.
    """
    try:
        holder = _PLACES[element](json.loads(line), ordinal)
        return keep_data(holder, declared, rules, store, f"{element}.{ordinal}")
    except (LookupError, TypeError, ValueError, RecursionError):
        return _unreadable("its place in the received line cannot be read")


def keep_data(
    holder: Mapping[str, Any], declared: Declared, rules: Rules, store: Store, name: str
) -> Outcome:
    """Put the ``data`` of an Attachment or Binary into the store.

    Source: FHIR R4, "base64Binary": white space in it says nothing.
    """
    content_type = declared.content_type or str(holder.get("contentType") or "")
    if not rules.wants(content_type):
        return unwanted(content_type)
    data = holder.get("data")
    if not isinstance(data, str):
        return _unreadable("it holds no data")
    text = data.encode().translate(None, _WHITE_SPACE)
    size_bytes = len(text) * 3 // 4 - text[-2:].count(b"=")
    if size_bytes > rules.max_bytes:
        return too_large(size_bytes, rules)
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return _unreadable("its data is not base64")
    with store.arriving(name) as file:
        file.take(content)
        wrong = declared.judge(file.sha1, file.size_bytes)
        return wrong or Outcome("fetched", file.keep(), file.size_bytes, content_type)


def _unreadable(what: str) -> Outcome:
    return Outcome("unreadable", error=f"{what} → ask the provider's support to mend the resource")
