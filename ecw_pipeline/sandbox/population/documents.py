"""Small true PDF, PNG and HTML files to attach to reports."""

import base64
import hashlib
import html
import struct
import zlib
from functools import cache

from ecw_pipeline.sandbox.population.codes import JsonObject


def pdf_attachment(title: str, created: str) -> JsonObject:
    """One page that says the report is made up."""
    return _attachment("application/pdf", _pdf(title), f"{title}.pdf", created)


def png_attachment(title: str, created: str) -> JsonObject:
    """A picture of eight grey pixels."""
    return _attachment("image/png", _png(), f"{title}.png", created)


def html_binary(title: str, words: str) -> JsonObject:
    """A page with a title and a sentence, as a Binary that has no id yet."""
    told = f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(words)}</p>"
    page = f"<html><head><title>Report</title></head><body>{told}</body></html>"
    data = base64.b64encode(page.encode()).decode()
    return {"resourceType": "Binary", "contentType": "text/html", "data": data}


def linked_attachment(binary: JsonObject, title: str, created: str) -> JsonObject:
    """An attachment that names a Binary instead of holding its content."""
    content = base64.b64decode(binary["data"])
    held = _attachment(binary["contentType"], content, f"{title}.html", created)
    del held["data"]
    return held | {"url": f"Binary/{binary['id']}"}


def _attachment(content_type: str, content: bytes, title: str, created: str) -> JsonObject:
    return {
        "contentType": content_type,
        "language": "en",
        "data": base64.b64encode(content).decode(),
        "size": len(content),
        "hash": base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),
        "title": title,
        "creation": created,
    }


@cache
def _pdf(title: str) -> bytes:
    text = f"Synthetic report: {title}".replace("\\", "").replace("(", "[").replace(")", "]")
    drawing = f"BT /F1 14 Tf 40 100 Td ({text}) Tj ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 200] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    content, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, rows)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    return content + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(content)


@cache
def _png() -> bytes:
    header = struct.pack(">IIBBBBB", 4, 2, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x20\x60\xa0\xe0\x00\xe0\xa0\x60\x20")
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, data) for name, data in chunks)


def _png_chunk(name: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum
