"""All faults at once, by seed: in the end the server's truth has landed, and each failure spoke.

Found this way: a manifest whose pages run in a circle may be less than all.
"""

from random import Random
from typing import Any

import pytest

from ecw_pipeline.sandbox.faults.table import FAULTS
from ecw_pipeline.stages.outcomes import issues_by_severity
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline_tests.soak import tries
from ecw_pipeline_tests.stages.test_faults import TRUTH, Visit, shared, visit

__all__ = ["shared", "visit"]

SEEDS = range(tries(30, in_soak=300))
TRIES = 6
# What takes away data, or needs a person: told of in test_faults.py.
LEFT_OUT = {"bad_utf8", "scope_spelling", "access_denied", "refused_scopes", "clock_skew"}
MILDER: dict[str, dict[str, Any]] = {
    "gzip_bomb": {"megabytes": 70, "times": 1, "probability": 0.05},
    "long_line": {"megabytes": 1},
    "slow_body": {"size_bytes": 200, "pause_seconds": 0.001},
    "redirected_files": {"asks_for_token": False},
    "calendar_minute": {"limit": 100_000},
    "lost_job": {"probability": 0.1, "times": 2},
    "refused_parameters": {"parameters": ["_type"]},
}


def faults_of(seed: int) -> dict[str, Any]:
    """Every fault with a chance of its own, and now and then."""
    draw = Random(seed)
    return {"seed": seed} | {
        name: {"probability": draw.choice([0.0, 0.1, 0.3])} | MILDER.get(name, {})
        for name in FAULTS
        if name not in LEFT_OUT
    }


@pytest.mark.soak
@pytest.mark.parametrize("seed", SEEDS)
def test_all_faults_at_once_lose_nothing(
    visit: Visit, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_FILE_HOSTS", "localhost")
    visit.suffer(faults_of(seed))

    for _ in range(TRIES):
        landed_before = visit.landed()
        went_well = visit.try_once()
        assert landed_before <= visit.landed() <= TRUTH
        assert all(" → " in message for message in visit.messages)
        if went_well:
            break
    assert visit.struck()
    assert visit.started() <= sum(export.kick_offs for export in visit.exports())

    visit.suffer({})
    assert visit.try_once() or visit.try_once(Wish(is_full=True)), visit.messages
    if visit.landed() != TRUTH:  # only where the server itself says that it left something out
        assert any("error" in issues_by_severity(visit.lake, one) for one in visit.exports())
        assert visit.try_once(Wish(is_full=True)), visit.messages
    assert visit.landed() == TRUTH
