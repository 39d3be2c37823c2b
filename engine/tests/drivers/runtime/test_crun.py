"""What crun is given instead of what it would get wrong."""

from typing import Any

import pytest

from engine.drivers.runtime import crun
from engine.drivers.runtime.failures import RuntimeFailed


def _spec(**resources: Any) -> dict[str, Any]:
    return {"linux": {"resources": resources}}


@pytest.mark.parametrize("spec", [{}, _spec(cpu={"quota": 5000, "period": 10_000}), _spec(pids={"limit": 9})])
def test_what_is_right_stays(spec: dict[str, Any]) -> None:
    assert crun.creatable(spec, systemd_cgroup=False) is spec


def test_a_new_container_has_no_quota_anyway() -> None:
    made = crun.creatable(_spec(cpu={"quota": -1, "shares": 7}, pids={"limit": 9}), systemd_cgroup=False)
    assert made == _spec(cpu={"shares": 7}, pids={"limit": 9})


@pytest.mark.parametrize(
    ("systemd", "limits", "given"),
    [
        (False, {"cpu": {"quota": -1, "period": 5}}, {"cpu": {"period": 5}}),
        (True, {"cpu": {"quota": -1, "period": 5}}, {"cpu": {"quota": -1, "period": 5}}),
        (False, {"pids": {"limit": -1}}, {"pids": {"limit": 4194304}}),
        (False, {"memory": {"limit": -1}}, {"memory": {"limit": -1}}),
    ],
)
def test_limits_that_are_lifted(systemd: bool, limits: dict[str, Any], given: dict[str, Any]) -> None:
    assert crun.updatable(limits, systemd_cgroup=systemd) == given


def test_more_shares_than_there_are() -> None:
    with pytest.raises(RuntimeFailed, match="the maximum allowed cpu-shares is 262144"):
        crun.updatable({"cpu": {"shares": 262_145}}, systemd_cgroup=False)
