"""`POST /build?version=2`: the parameters of old as BuildKit's frontend options. Pure."""

from collections.abc import Iterable, Mapping

from engine.core.errors import Internal
from engine.domain.builder.classic.options import BuildOptions
from engine.domain.images.platforms import format_platform

CLIENT = "client-session"
_NETWORKS = ("", "default", "host", "none")


class NetworkUnsupported(Internal):
    """Commands cannot run in a network of a name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'network mode "{name}" not supported by buildkit')


def frontend_options(options: BuildOptions) -> Mapping[str, str]:
    """Return the options. Raises NetworkUnsupported."""
    host = options.host_config
    if host.network_mode not in _NETWORKS:
        raise NetworkUnsupported(host.network_mode)
    found = {
        "target": options.target,
        "filename": options.dockerfile,
        "context": options.remote if options.remote != CLIENT else "",
        "cache-from": ",".join(options.cache_from or ()),
        "image-resolve-mode": "pull" if options.pull else "default",
        "platform": format_platform(options.platform) if options.platform else "",
        "add-hosts": _joined(each.replace(":", "=", 1) for each in host.extra_hosts or ()),
        "ulimit": _joined(f"{each.name}={each.soft}:{each.hard}" for each in host.ulimits or ()),
        "shm-size": str(host.shm_size or ""),
        "cgroup-parent": host.cgroup_parent,
        "force-network-mode": host.network_mode if host.network_mode != "default" else "",
    }
    return {
        **{name: value for name, value in found.items() if value},
        **({"no-cache": ""} if options.no_cache else {}),
        **{f"build-arg:{name}": value for name, value in options.build_args.items() if value is not None},
        **{f"label:{name}": value for name, value in options.labels.items()},
    }


def _joined(values: Iterable[str]) -> str:
    return ",".join(values)
