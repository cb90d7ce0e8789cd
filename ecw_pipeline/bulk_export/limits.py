"""What a file may cost us before it is refused."""

from dataclasses import dataclass

# A body that brings less than this in a minute is broken off; what came of it is kept.
SLOWEST_BYTES_PER_MINUTE = 64 << 10


@dataclass(frozen=True)
class Limits:
    """The largest file, as sent, and how many times its size it may unpack to."""

    file_bytes: int
    unpacked_ratio: int
