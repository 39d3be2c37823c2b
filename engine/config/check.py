"""Whether settings fit together and are such as this daemon can follow: pure, with dockerd's texts where it has one."""

import ipaddress
from collections.abc import Callable, Iterable

import msgspec

from engine.config import hosts, values
from engine.config.failures import ConfigError
from engine.config.settings import Config

_LEVELS = ("debug", "info", "warn", "error", "fatal", "panic", "trace")
_FORMATS = ("text", "json")
_DRIVERS = ("", "overlayfs", "overlay2")
_FIREWALLS = ("", "iptables", "nftables")
_RUNTIMES = ("", "runc", "crun", "io.containerd.runc.v2")


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise ConfigError(text)


def _each(check: Callable[[str], str], given: Iterable[str]) -> list[str]:
    try:
        return [check(item) for item in given]
    except ValueError as error:
        raise ConfigError(str(error)) from None


def merged(config: Config) -> Config:
    """Check what dockerd checks of the merged settings; return them with lists in their kept form.

    Raises ConfigError.
    """
    _check_logging(config)
    _check_numbers(config)
    _check_exec_opts(config.exec_opts)
    _check_modes(config)
    return msgspec.structs.replace(
        config,
        labels=_each(values.label, config.labels),
        dns_search=_each(values.dns_search, config.dns_search),
        registry_mirrors=_each(values.mirror, config.registry_mirrors),
        insecure_registries=_each(values.insecure_registry, config.insecure_registries),
        hosts=_each(hosts.check, config.hosts),
    )


def _check_logging(config: Config) -> None:
    _require(config.log_level in _LEVELS, f"invalid logging level: {config.log_level}")
    _require(config.log_format in _FORMATS, f"invalid log format: {config.log_format}")


def _check_numbers(config: Config) -> None:
    _require(config.mtu >= 0, f"invalid default MTU: {config.mtu}")
    for what in ("max_concurrent_downloads", "max_concurrent_uploads", "max_download_attempts"):
        number = getattr(config, what)
        _require(number >= 0, f"invalid {what.replace('_', ' ')}: {number}")
    _require(0 <= config.image_gc < 100, f"invalid image-gc: {config.image_gc}: must be a percentage below 100")
    _require(config.image_gc_age >= 0, f"invalid image-gc-age: {config.image_gc_age}")


def _check_exec_opts(options: list[str]) -> None:
    for option in options:
        key, equals, _ = option.partition("=")
        _require(bool(equals), f"invalid exec-opt ({option}): must be formatted 'opt=value'")
        known = key.strip().lower() == "native.cgroupdriver"
        _require(known, f"invalid exec-opt ({option}): unknown option: '{key}'")


def _check_modes(config: Config) -> None:
    ipc, cgroupns = config.default_ipc_mode, config.default_cgroupns_mode
    _require(
        ipc in ("shareable", "private"),
        f'IPC mode "{ipc}" is not supported as default value; use "shareable" or "private"',
    )
    _require(
        cgroupns in ("", "host", "private"), f'invalid default cgroup namespace ({cgroupns}): use "host" or "private"'
    )


def usable(config: Config) -> None:
    """Check what dockerd finds out as late as at its start. Raises ConfigError."""
    _check_labels(config.labels)
    _check_confinement(config)
    _check_bridge(config)
    _check_runtimes(config)
    _require(config.storage_driver in _DRIVERS, f"driver not supported: {config.storage_driver}")
    backend = config.firewall_backend
    _require(backend in _FIREWALLS, f'invalid firewall-backend "{backend}": use "iptables" or "nftables"')
    _check_listening(config)


def _check_labels(labels: list[str]) -> None:
    by_key: dict[str, str] = {}
    for label in labels:
        key = label.partition("=")[0]
        first = by_key.setdefault(key, label)
        _require(first == label, f"conflict labels for {label} and {first}")


def _check_confinement(config: Config) -> None:
    driver, parent = config.cgroup_driver, config.cgroup_parent
    _require(driver in ("", "cgroupfs", "systemd"), f"native.cgroupdriver option {driver} not supported")
    _require(
        driver != "systemd" or not parent or (len(parent) > 6 and parent.endswith(".slice")),
        'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"',
    )
    for name, limit in config.default_ulimits.items():
        _require(
            limit.hard == -1 or limit.soft <= limit.hard,
            f"ulimit soft limit must be less than or equal to hard limit: {name}: {limit.soft} > {limit.hard}",
        )


def _check_bridge(config: Config) -> None:
    _require(
        config.iptables or config.icc,
        "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. "
        "Please set --icc or --iptables to true",
    )
    for text, version in (
        (config.bip, 4),
        (config.fixed_cidr, 4),
        (config.bip6, 6),
        (config.fixed_cidr_v6, 6),
    ):
        _require(not text or _is_prefix(text, version), f"invalid CIDR address: {text}")
    for pool in config.default_address_pools:
        _require(_is_pool(pool.base, pool.size), f"invalid default address pool: base {pool.base!r}, size {pool.size}")


def _is_prefix(text: str, version: int) -> bool:
    try:
        return "/" in text and ipaddress.ip_interface(text).version == version
    except ValueError:
        return False


def _is_pool(base: str, size: int) -> bool:
    try:
        network = ipaddress.ip_network(base, strict=False)
    except ValueError:
        return False
    return network.prefixlen <= size <= network.max_prefixlen


def _check_runtimes(config: Config) -> None:
    for name, runtime in config.runtimes.items():
        _require(name not in _RUNTIMES[1:2], f"runtime name '{name}' is reserved")
        _require(not runtime.runtime_type, f"runtime {name}: runtimeType is not supported, only path")
        _require(bool(runtime.path), f"runtime {name}: either a runtimeType or a path must be configured")
    chosen = config.default_runtime
    _require(chosen in _RUNTIMES or chosen in config.runtimes, f"specified default runtime '{chosen}' does not exist")


def _check_listening(config: Config) -> None:
    if config.tls or config.allow_insecure_tcp:
        return
    for host in config.hosts:
        _require(
            not host.startswith("tcp://") or hosts.is_loopback(host),
            f"refusing to listen on {host} without TLS: it gives root access on this machine to everyone who can reach "
            "it. Use --tlsverify, or --allow-insecure-tcp if you know what you do",
        )
