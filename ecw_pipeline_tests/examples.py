"""How many random examples a test takes: its own number, times fifty under `make soak`."""

from hypothesis import HealthCheck, settings

USUAL = 100
SOAK = 50 * USUAL


def examples(count: int) -> settings:
    """Settings for tests whose examples cost more than most."""
    profile = settings.default
    return settings(
        max_examples=count * (profile.max_examples if profile else USUAL) // USUAL,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )
