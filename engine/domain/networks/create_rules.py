"""What a client may ask of a new network, with dockerd's texts. Pure."""

from engine.core.model.network import IPAM
from engine.domain.networks import options, predefined
from engine.domain.networks.failures import (
    IngressNeedsSwarm,
    InvalidNetworkName,
    NestedSettings,
    NoFamilyEnabled,
    NotJustSettings,
    OnlyOneInstance,
    OverlayNeedsSwarm,
    PredefinedNetwork,
    ScopeNeedsSwarm,
    SettingsTwice,
)
from engine.domain.networks.ipam_rules import require_valid_pools
from engine.domain.networks.request import NetworkRequest


def require_valid(request: NetworkRequest) -> None:
    """Raise WharfError for a network that cannot be made, whatever else there is."""
    if not request.name.strip():
        raise InvalidNetworkName("name is empty")
    if predefined.is_predefined(request.name):
        raise PredefinedNetwork(request.name)
    if request.scope == "swarm":
        raise ScopeNeedsSwarm
    if request.driver == "overlay":
        raise OverlayNeedsSwarm
    if request.driver in ("host", "null") and not request.config_only:
        raise OnlyOneInstance(request.driver)
    families = (options.enabled(request.options, 4, default=request.enable_ipv4), _has_ipv6(request))
    if not any(families):
        raise NoFamilyEnabled
    require_valid_pools(request.ipam.config or ())


def _has_ipv6(request: NetworkRequest) -> bool:
    return options.enabled(request.options, 6, default=request.enable_ipv6)


def require_fitting_settings(request: NetworkRequest) -> None:
    """Raise WharfError for settings that go with one another badly."""
    if request.config_only and (request.internal or request.attachable or request.ingress or request.scope):
        raise NotJustSettings
    if request.config_from:
        _require_no_settings(request)
    if request.ingress and not request.config_only and request.scope != "global":
        raise IngressNeedsSwarm


def _require_no_settings(request: NetworkRequest) -> None:
    """A network that takes its settings from another has none of its own."""
    if request.config_only:
        raise NestedSettings
    has_ipam = request.ipam != IPAM() and request.ipam != IPAM(driver="")
    if has_ipam or request.labels or request.enable_ipv6 or not request.enable_ipv4:
        raise SettingsTwice("user specified configurations")
    if request.options:
        raise SettingsTwice("network driver options")
