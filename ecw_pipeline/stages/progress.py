"""How far long work is: the name of a piece of it, how much is done, of how much."""

from collections.abc import Callable

Step = Callable[[str, int, int], None]


def silent(_name: str, _done: int, _total: int) -> None:
    """Nobody is watching."""
