"""What the daemon is told: one frozen value, made once from flags and `daemon.json`, again at each SIGHUP.

It owns the names, types and defaults. Field names are dockerd's keys with underscores; an empty string or 0 stands for
"the daemon decides". It reads no file and no argument (see `load.py`).
"""

from pathlib import Path

from msgspec import Struct, field

from engine.core.model.container import Ulimit

DATA_ROOT = Path("/var/lib/wharf")
EXEC_ROOT = Path("/run/wharf")
CONFIG_FILE = Path("/etc/wharf/daemon.json")
PIDFILE = Path("/run/wharf.pid")
SOCKET = "unix:///run/wharf.sock"
DOCKER_IO = "docker.io"


class AddressPool(Struct, frozen=True):
    """A range that networks without a subnet of their own are cut from: `size` is their prefix length."""

    base: str = ""
    size: int = 0


class RuntimeSetting(Struct, frozen=True, rename="camel"):
    """An OCI runtime: a program, with arguments to put before its command. Names as in `daemon.json`."""

    path: str = ""
    runtime_args: list[str] = field(default_factory=list)
    runtime_type: str = ""


class CacheSizes(Struct, frozen=True):
    """Bounds of the build cache as the user wrote them (`10GB`), empty where not given."""

    reserved: str = ""
    max_used: str = ""
    min_free: str = ""


class CacheRule(Struct, frozen=True, kw_only=True):
    """A rule of the build cache's garbage collection; `every`: internal records, too."""

    every: bool = False
    filters: dict[str, list[str]] = field(default_factory=dict)
    sizes: CacheSizes = CacheSizes()


class BuilderSettings(Struct, frozen=True, kw_only=True):
    """The section `builder`: the cache's garbage collection (`rules` None: the usual), what builds may be allowed."""

    gc: bool = True
    rules: list[CacheRule] | None = None
    sizes: CacheSizes = CacheSizes()
    network_host: bool = True
    security_insecure: bool = False
    device: bool = True


class Config(Struct, frozen=True, kw_only=True):
    """All settings."""

    # The daemon itself.
    hosts: list[str] = field(default_factory=lambda: [SOCKET])
    data_root: Path = DATA_ROOT
    exec_root: Path = EXEC_ROOT
    pidfile: Path | None = PIDFILE
    config_file: Path = CONFIG_FILE
    group: str = "docker"
    debug: bool = False
    log_level: str = "info"
    log_format: str = "text"
    labels: list[str] = field(default_factory=list)
    live_restore: bool = True
    shutdown_timeout: int = 15
    experimental: bool = False
    features: dict[str, bool] = field(default_factory=dict)
    builder: BuilderSettings = BuilderSettings()
    cdi_spec_dirs: list[str] = field(default_factory=lambda: ["/etc/cdi", "/var/run/cdi"])
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    validate_only: bool = False
    # The command line, for loading the settings again.
    arguments: list[str] = field(default_factory=list)

    # Who may connect over TCP.
    tls: bool = False
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    allow_insecure_tcp: bool = False

    authorization_plugins: list[str] = field(default_factory=list)

    # Images and registries.
    registry_mirrors: list[str] = field(default_factory=list)
    insecure_registries: list[str] = field(default_factory=list)
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5
    image_gc: int = 0
    image_gc_age: int = 120
    storage_driver: str = ""
    storage_opts: list[str] = field(default_factory=list)

    # The default bridge and networks in general.
    bridge: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    default_address_pools: list[AddressPool] = field(default_factory=list)
    default_network_opts: dict[str, dict[str, str]] = field(default_factory=dict)
    mtu: int = 0
    icc: bool = True
    ip: str = ""
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masq: bool = True
    ipv6: bool = False
    iptables: bool = True
    ip6tables: bool = True
    firewall_backend: str = ""
    allow_direct_routing: bool = False
    userland_proxy: bool = True
    userland_proxy_path: str = ""
    dns: list[str] = field(default_factory=list)
    dns_opts: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    host_gateway_ips: list[str] = field(default_factory=list)

    # What containers get that do not say otherwise.
    default_runtime: str = ""
    runtimes: dict[str, RuntimeSetting] = field(default_factory=dict)
    exec_opts: list[str] = field(default_factory=list)
    cgroup_parent: str = ""
    default_ulimits: dict[str, Ulimit] = field(default_factory=dict)
    default_shm_size: int = 64 << 20
    default_cgroupns_mode: str = ""
    default_ipc_mode: str = "private"
    init: bool = False
    init_path: str = ""
    seccomp_profile: str = "builtin"
    no_new_privileges: bool = False
    log_driver: str = "json-file"
    log_opts: dict[str, str] = field(default_factory=dict)
    userns_remap: str = ""

    # Accepted settings that mean nothing here, each as one sentence for the log.
    notices: list[str] = field(default_factory=list)

    @property
    def mirrors(self) -> dict[str, list[str]]:
        """URLs of mirrors in the order of preference, by the registry that they mirror."""
        by_host: dict[str, list[str]] = {}
        for mirror in self.registry_mirrors:
            host, url = split_mirror(mirror)
            by_host.setdefault(host, []).append(url)
        return by_host

    @property
    def cgroup_driver(self) -> str:
        """`cgroupfs`, `systemd`, or nothing where the host decides."""
        chosen = ""
        for option in self.exec_opts:
            key, _, value = option.partition("=")
            if key.strip().lower() == "native.cgroupdriver":
                chosen = value
        return chosen


def split_mirror(text: str) -> tuple[str, str]:
    """Split HOST=URL; a URL alone, which is dockerd's form, mirrors docker.io."""
    host, equals, url = text.partition("=")
    if not equals or "/" in host:
        return DOCKER_IO, text
    return host, url
