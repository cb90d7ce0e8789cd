"""How much a proof by many tries is tried: some in every run of the tests, many in `make soak`."""

import os

IS_SOAK = bool(os.environ.get("ECW_SOAK"))


def tries(usually: int, in_soak: int) -> int:
    """How many tries to make now."""
    return in_soak if IS_SOAK else usually
