"""What a client may ask of a build and cannot have here: said at once, and not after minutes of work, or never."""

from engine.core.errors import NotImplementedHere
from engine.domain.builder.builds import BuildRequest

_SBOM = "attest:sbom"
_CACHES = ("inline", "local", "registry")


class SbomUnsupported(NotImplementedHere):
    """Bills of materials need a scanner's image."""

    def __init__(self) -> None:
        super().__init__("SBOM attestations are not supported")


class CacheExportUnsupported(NotImplementedHere):
    """A kind of cache that is not written."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"cache export of type {kind} is not supported, only those of type inline, local and registry")


def require_supported(request: BuildRequest) -> None:
    """Raise SbomUnsupported, CacheExportUnsupported."""
    sbom = request.frontend_request.options.get(_SBOM)
    if sbom is not None and "disabled=true" not in sbom.split(","):
        raise SbomUnsupported
    for cache in request.cache_exports:
        if cache.kind not in _CACHES:
            raise CacheExportUnsupported(cache.kind)
