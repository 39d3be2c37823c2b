"""The rules of health checks: what is run, when, and what its results mean. Pure. Source: Moby's `daemon/health.go`."""

import msgspec

from engine.core.model.container import Container, Health, Healthcheck, HealthResult

SECOND = 1_000_000_000
_INTERVAL, _START_INTERVAL, _RETRIES = 30 * SECOND, 5 * SECOND, 3
_KEPT_RESULTS = 5
_DEFAULT_SHELL = ("/bin/sh", "-c")


def probe_command(container: Container) -> list[str] | None:
    """Return the command that tests a container; None where it has no health check."""
    check = container.config.healthcheck
    if check is None or not check.test or check.test[0] == "NONE":
        return None
    kind, *arguments = check.test
    if kind == "CMD":
        return arguments
    return [*(container.config.shell or _DEFAULT_SHELL), *arguments]


def wait_before_probe(check: Healthcheck, started_at: int, status: str, now: int) -> float:
    """Return the seconds until the next probe: shorter while a container is still starting."""
    interval = check.interval or _INTERVAL
    if status == "starting" and now - started_at < check.start_period:
        interval = check.start_interval or _START_INTERVAL
    return interval / SECOND


def judged(health: Health, result: HealthResult, check: Healthcheck, started_at: int) -> Health:
    """Return a container's health after one more result."""
    kept = [*health.log, result][-_KEPT_RESULTS:]
    if result.exit_code == 0:
        return Health(status="healthy", failing_streak=0, log=kept)
    if health.status == "starting" and result.start - started_at < check.start_period:
        return msgspec.structs.replace(health, log=kept)
    streak = health.failing_streak + 1
    status = "unhealthy" if streak >= (check.retries or _RETRIES) else health.status
    return Health(status=status, failing_streak=streak, log=kept)


def at_start(container: Container) -> Health | None:
    """Return the health of a container that has just been started; None where nobody checks it."""
    return None if probe_command(container) is None else Health()


def at_end(health: Health | None) -> Health | None:
    """Return the health of a container that has ended."""
    return None if health is None else msgspec.structs.replace(health, status="unhealthy")
