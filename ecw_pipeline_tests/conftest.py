"""No test sees the settings of the person who runs it."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from ecw_pipeline.settings import Settings
from ecw_pipeline_tests.examples import SOAK, USUAL

# How fast a machine is that others use too says nothing about what is tested. The suite tries the
# same examples each time, so that a change is judged by what it does; the soak looks for new ones.
hypothesis_settings.register_profile(
    "ecw",
    deadline=None,
    max_examples=USUAL,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.register_profile(
    "soak",
    deadline=None,
    max_examples=SOAK,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("ecw")

OURS = ("ECW_", "ECLINICALWORKS_", "DAGSTER_")
KEPT = ("ECW_SHARED_TESTS",)


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(OURS) and n not in KEPT]:
            patch.delenv(name)
        patch.setitem(Settings.model_config, "env_file", None)
        yield
