"""Faults of the lines in a file."""

from ecw_pipeline.sandbox.faults.fault import on_content
from ecw_pipeline.sandbox.json_text import from_line, to_line


# Servers that join their data with an outer table.
@on_content()
def duplicate_lines(content: bytes, *, lines: int = 1) -> bytes:
    """Repeats the first lines of a file at its end."""
    return content + b"".join(content.splitlines(keepends=True)[:lines])


# Servers on Windows.
@on_content()
def byte_order_mark(content: bytes) -> bytes:
    """Begins a file with a byte order mark."""
    return b"\xef\xbb\xbf" + content


# Servers on Windows.
@on_content()
def crlf(content: bytes) -> bytes:
    """Ends lines with carriage return and line feed."""
    return content.replace(b"\n", b"\r\n")


# Notes pasted from word processors, kept as Latin-1.
@on_content()
def bad_utf8(content: bytes, *, line: int = 1) -> bytes:
    """Puts a byte that is not UTF-8 into the last string of a line."""
    lines = content.splitlines(keepends=True)
    head, joint, rest = lines[line - 1].rpartition(b'":"')
    lines[line - 1] = head + joint + b"\xe9" + rest
    return b"".join(lines)


# Documents and images inside resources.
@on_content()
def long_line(content: bytes, *, megabytes: int = 40) -> bytes:
    """Gives the first resource of a file a text of so many megabytes."""
    first, _, rest = content.partition(b"\n")
    resource = from_line(first)
    words = "word " * (megabytes * 200_000)
    resource["text"] = {"status": "generated", "div": f"<div>{words}</div>"}
    return to_line(resource) + rest


# Servers that write newlines between lines, not after them.
@on_content()
def no_final_newline(content: bytes) -> bytes:
    """Leaves out the newline at the end of a file."""
    return content.removesuffix(b"\n")


FAULTS = (no_final_newline, byte_order_mark, crlf, bad_utf8, duplicate_lines, long_line)
