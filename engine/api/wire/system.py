"""`/version`, `/info` and `/system/df` in Docker's JSON, and what differs between API versions.

`/info`: 1.25 gives security options their `name=`; 1.42 drops KernelMemory; 1.44 adds what runtimes can do; 1.47 drops
nondistributable artifacts; 1.49 adds the firewall and drops what commits were expected; 1.50 drops BridgeNf* and
adds the devices found.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from engine.api.version import NEWEST, OLDEST, shown
from engine.api.wire import containers, images
from engine.api.wire.build_cache import encode_cache_usage
from engine.api.wire.containers import ImageNames, SummaryExtras
from engine.api.wire.volumes import encode_usage
from engine.core import times
from engine.core.model.product import DOCKER_VERSION
from engine.domain.containers.links import names_by_target
from engine.domain.system.disk_usage import DiskUsage
from engine.domain.system.info import Component, Info, RegistryInfo, VersionInfo
from engine.domain.system.runtimes import RuntimeInfo

Version = tuple[int, int]
T = TypeVar("T")
_SHIM = "io.containerd.runc.v2"
_UNKNOWN = "N/A"
_CREDENTIALS = re.compile(r"^(\w+://)?[^/@]*@")
_NO_SWARM = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


def encode_version(info: VersionInfo) -> dict[str, Any]:
    """Return the answer of `GET /version`. The first component is the engine, whose details are the answer's own."""
    own = {
        "ApiVersion": shown(NEWEST),
        "MinAPIVersion": shown(OLDEST),
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": info.machine.go_architecture,
        "KernelVersion": info.machine.kernel,
        "BuildTime": _build_time(info.built_at),
    }
    engine = dict(sorted((own | {"Experimental": str(info.experimental).lower()}).items()))
    return {
        "Platform": {"Name": "Wharf"},
        "Components": [_component(c, engine if c.name == "Engine" else c.details) for c in info.components],
        "Version": DOCKER_VERSION,
        **own,
        **({"Experimental": True} if info.experimental else {}),
    }


def _component(component: Component, details: Mapping[str, str]) -> dict[str, Any]:
    return {"Name": component.name, "Version": component.version, "Details": dict(details)}


def _build_time(instant: int) -> str:
    """Return a time as dockerd's build stamps have it: nine digits, a numeric zone."""
    return times.rfc3339(instant).removesuffix("Z") + ".000000000+00:00"


def encode_info(info: Info, version: Version) -> dict[str, Any]:
    """Return the answer of `GET /info`."""
    answer = _engine(info) | _limits(info, version) | _machine(info) | _runtimes(info, version)
    answer["SecurityOptions"] = _security(info.settings.security_options, version)
    answer["RegistryConfig"] = _registry(info.settings.registry, version)
    if version >= (1, 49) and info.settings.firewall:
        answer["FirewallBackend"] = {"Driver": info.settings.firewall}
    if version >= (1, 50) and info.devices:
        answer["DiscoveredDevices"] = [{"Source": "cdi", "ID": name} for name in info.devices]
    if info.settings.address_pools:
        answer["DefaultAddressPools"] = [{"Base": base, "Size": size} for base, size in info.settings.address_pools]
    answer["Warnings"] = list(info.warnings) or None
    return answer


def _engine(info: Info) -> dict[str, Any]:
    settings, counts = info.settings, info.counts
    return {
        "ID": settings.engine_id,
        "Containers": counts.running + counts.paused + counts.stopped,
        "ContainersRunning": counts.running,
        "ContainersPaused": counts.paused,
        "ContainersStopped": counts.stopped,
        "Images": counts.images,
        "Driver": "overlayfs",
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "Plugins": {
            "Volume": list(info.plugins.volume),
            "Network": sorted({*settings.network_drivers, *info.plugins.network}),
            "Authorization": list(info.plugins.authorization) or None,
            "Log": sorted(settings.log_drivers),
        },
        "Debug": settings.debug,
        "NFd": counts.descriptors,
        "NGoroutines": counts.tasks,
        "SystemTime": times.rfc3339(info.time),
        "LoggingDriver": settings.logging_driver,
        "NEventsListener": counts.listeners,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "DockerRootDir": str(settings.root),
        "HttpProxy": _without_password(settings.proxies.http),
        "HttpsProxy": _without_password(settings.proxies.https),
        "NoProxy": settings.proxies.no_proxy,
        "Labels": list(settings.labels),
        "ExperimentalBuild": settings.experimental,
        "ServerVersion": DOCKER_VERSION,
        "Swarm": _NO_SWARM,
        "LiveRestoreEnabled": settings.live_restore,
        "Isolation": "",
        "GenericResources": None,
        "CDISpecDirs": list(settings.cdi_spec_dirs),
    }


def _limits(info: Info, version: Version) -> dict[str, Any]:
    abilities = info.abilities
    answer = {
        "MemoryLimit": abilities.memory,
        "SwapLimit": abilities.swap,
        "CpuCfsPeriod": abilities.cpu_cfs,
        "CpuCfsQuota": abilities.cpu_cfs,
        "CPUShares": abilities.cpu_shares,
        "CPUSet": abilities.cpuset,
        "PidsLimit": abilities.pids,
        "IPv4Forwarding": info.ipv4_forwarding,
        "OomKillDisable": abilities.oom_kill_disable,
        "CgroupDriver": info.settings.cgroup_driver,
        "CgroupVersion": "2" if info.settings.cgroup_v2 else "1",
    }
    if abilities.kernel_memory_tcp:
        answer["KernelMemoryTCP"] = True
    if version < (1, 42):
        answer["KernelMemory"] = not info.settings.cgroup_v2
    if version < (1, 50):
        answer |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    return answer


def _machine(info: Info) -> dict[str, Any]:
    machine = info.machine
    return {
        "KernelVersion": machine.kernel,
        "OperatingSystem": machine.operating_system,
        "OSVersion": machine.os_version,
        "OSType": "linux",
        "Architecture": machine.architecture,
        "NCPU": machine.cpus,
        "MemTotal": machine.memory,
        "Name": info.host_name,
    }


def _runtimes(info: Info, version: Version) -> dict[str, Any]:
    default = next((r for r in info.runtimes if r.name == info.default_runtime), None)
    shown_runtimes = {r.name: _runtime(r, version) for r in info.runtimes}
    if default is not None:
        shown_runtimes[_SHIM] = _runtime(default, version)
    used = (default.commit or default.version) if default else ""
    return {
        "Runtimes": shown_runtimes,
        "DefaultRuntime": info.default_runtime,
        "InitBinary": "docker-init",
        "ContainerdCommit": _commit("", version),
        "RuncCommit": _commit(used, version),
        "InitCommit": _commit(info.settings.init_version, version),
    }


def _runtime(runtime: RuntimeInfo, version: Version) -> dict[str, Any]:
    answer: dict[str, Any] = {"path": runtime.path}
    if version >= (1, 44) and runtime.features:
        answer["status"] = {"org.opencontainers.runtime-spec.features": runtime.features}
    return answer


def _commit(text: str, version: Version) -> dict[str, str]:
    found = text or _UNKNOWN
    return {"ID": found, "Expected": found} if version < (1, 49) else {"ID": found}


def _security(options: Sequence[str], version: Version) -> list[str]:
    if version >= (1, 25):
        return list(options)
    return [option.partition(",")[0].removeprefix("name=") for option in options]


def _registry(registry: RegistryInfo, version: Version) -> dict[str, Any]:
    networks = sorted({r for r in registry.insecure if "/" in r} | {"127.0.0.0/8", "::1/128"}, reverse=True)
    hosts = {r: _index(r, secure=False) for r in registry.insecure if "/" not in r}
    answer: dict[str, Any] = {
        "IndexConfigs": {"docker.io": _index("docker.io", mirrors=registry.mirrors), **hosts},
        "InsecureRegistryCIDRs": networks,
        "Mirrors": list(registry.mirrors) or None,
    }
    if version < (1, 47):
        answer |= {"AllowNondistributableArtifactsCIDRs": None, "AllowNondistributableArtifactsHostnames": None}
    return answer


def _index(name: str, *, secure: bool = True, mirrors: Sequence[str] = ()) -> dict[str, Any]:
    return {"Mirrors": list(mirrors), "Name": name, "Official": name == "docker.io", "Secure": secure}


def _without_password(proxy: str) -> str:
    """Return a proxy's URL with its user and password hidden, as dockerd shows it."""
    return _CREDENTIALS.sub(lambda m: f"{m[1] or ''}xxxxx:xxxxx@", proxy)


def encode_disk_usage(usage: DiskUsage, version: Version, names: ImageNames) -> dict[str, Any]:
    """Return the answer of `GET /system/df`."""
    aliases = names_by_target(c[0] for c in usage.containers or ())
    return {
        "LayersSize": usage.layers,
        "Images": _listed(
            usage.images, lambda s: {**images.encode_summary(s, version), "Containers": len(s.containers)}
        ),
        "Containers": _listed(
            usage.containers,
            lambda c: containers.encode_summary(
                c[0], version, SummaryExtras(names, (c[1].rw, c[1].root), aliases.get(c[0].name, ()))
            ),
        ),
        "Volumes": _listed(usage.volumes, encode_usage),
        "BuildCache": _listed(usage.build_cache, lambda u: encode_cache_usage(u, version)),
    }


def _listed(items: Sequence[T] | None, encode: Callable[[T], Any]) -> list[Any] | None:
    return None if items is None else [encode(item) for item in items]
