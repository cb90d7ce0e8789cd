"""What can go wrong, sorted by who must act. Each kind has its own exit code.

Messages name files, lines and settings; never patient content, tokens or URL queries.
"""

from typing import ClassVar

_MOST_TOLD = 5


class EcwError(Exception):
    """Anything this project refuses, with what to do about it.

    Args:
        message: what is wrong, naming the file, line or setting.
        next_step: what the reader should do now.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} → {self.next_step}" if self.next_step else self.message


class ConfigurationError(EcwError):
    """A person must change a setting, a credential or a command's words."""

    exit_code: ClassVar[int] = 3


class TemporaryError(EcwError):
    """Waiting and trying again is the remedy."""

    exit_code: ClassVar[int] = 4

    def __init__(
        self, message: str, next_step: str = "", *, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, next_step)
        self.retry_after_seconds = retry_after_seconds


class ProtocolError(EcwError):
    """The server broke the specification or refused; its operator must act."""

    exit_code: ClassVar[int] = 5


class BadDataError(EcwError):
    """The data cannot be read as what it claims to be; it goes to quarantine."""

    exit_code: ClassVar[int] = 6


class UnsupportedViewError(EcwError):
    """A ViewDefinition is wrong or uses what the compiler cannot do."""

    exit_code: ClassVar[int] = 7


class MachineError(EcwError):
    """This machine is in the way: a full disk, a port in use, a folder not writable."""

    exit_code: ClassVar[int] = 8


def raise_first(errors: list[EcwError]) -> None:
    """Raise what went wrong for some, after the others had their turn.

    Raises:
        EcwError: the first error; its message tells of the others too.
    """
    if errors:
        first = errors[0]
        told = list(dict.fromkeys(error.message for error in errors))
        more = [f"{len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
        first.message = "; also: ".join(told[:_MOST_TOLD] + more)
        raise first
