"""Restart policies: whether a container that ended is started again, and after how long. Pure.

As dockerd: the delay doubles from 100 ms to a minute and starts anew after a run of ten seconds.
"""

from engine.core.model.container import Container

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
_SETTLED = 10_000_000_000


def next_delay(previous: float, ran: int) -> float:
    """Return the delay in seconds before the next start, after a run of `ran` nanoseconds."""
    if not previous or ran >= _SETTLED:
        return FIRST_DELAY
    return min(previous * 2, LONGEST_DELAY)


def again_after_exit(container: Container, exit_code: int) -> bool:
    """Tell whether the policy starts a container again that has just ended."""
    policy = container.host_config.restart_policy
    if container.stopped_by_user:
        return False
    if policy.name == "on-failure":
        limit = policy.maximum_retry_count
        return exit_code != 0 and (limit == 0 or container.restart_count < limit)
    return policy.name in ("always", "unless-stopped")


def again_at_daemon_start(container: Container) -> bool:
    """Tell whether the policy starts a container when the daemon starts."""
    policy = container.host_config.restart_policy
    if not container.started_once:
        return False
    if policy.name == "always":
        return True
    if policy.name == "unless-stopped":
        return not container.stopped_by_user
    return policy.name == "on-failure" and again_after_exit(container, container.state.exit_code)
