"""Requests for what is not there are refused with a reason."""

import pytest

from engine.domain.builder.builds import BuildRequest, CacheChoice
from engine.domain.builder.result import FrontendRequest
from engine.domain.builder.supported import CacheExportUnsupported, SbomUnsupported, require_supported


def test_what_there_is() -> None:
    options = {"attest:sbom": "generator=x,disabled=true", "attest:provenance": "mode=max"}
    require_supported(BuildRequest("a", frontend_request=FrontendRequest(options)))
    require_supported(
        BuildRequest(
            "a", cache_exports=[CacheChoice("inline"), CacheChoice("registry")], cache_imports=[CacheChoice("local")]
        )
    )


def test_bills_of_materials() -> None:
    with pytest.raises(SbomUnsupported):
        require_supported(BuildRequest("a", frontend_request=FrontendRequest({"attest:sbom": ""})))


@pytest.mark.parametrize("kind", ["s3", "gha"])
def test_caches(kind: str) -> None:
    with pytest.raises(CacheExportUnsupported, match=f"cache export of type {kind} is not supported"):
        require_supported(BuildRequest("a", cache_exports=[CacheChoice("inline"), CacheChoice(kind)]))
