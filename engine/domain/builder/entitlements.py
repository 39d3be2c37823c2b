"""What builds may be allowed beyond the usual: by the daemon's settings first, and then by each build's client."""

from engine.config.settings import BuilderSettings
from engine.domain.builder.builds import BuildRequest
from engine.domain.builder.failures import EntitlementRefused
from engine.domain.builder.job import INSECURE, NETWORK_HOST, Job
from engine.domain.builder.supported import require_supported

_DEVICE = "device"


def entitlements(settings: BuilderSettings) -> frozenset[str]:
    """Return what clients may allow."""
    allowed = {NETWORK_HOST: settings.network_host, INSECURE: settings.security_insecure, _DEVICE: settings.device}
    return frozenset(name for name, holds in allowed.items() if holds)


class Permission:
    """Refuses builds that ask for what they cannot have."""

    def __init__(self, allowed: frozenset[str]) -> None:
        """`allowed`: what clients may allow their builds."""
        self._allowed = allowed

    def __call__(self, request: BuildRequest, job: Job) -> None:
        """Tell a job what its commands may do; of a device, `device=NAME`, only the kind counts.

        Raises EntitlementRefused, SbomUnsupported, CacheExportUnsupported.
        """
        require_supported(request)
        for each in request.entitlements:
            if each.partition("=")[0] not in self._allowed:
                raise EntitlementRefused(each)
        job.entitlements = frozenset(request.entitlements)
