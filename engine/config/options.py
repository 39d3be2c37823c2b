"""The table of all settings: flag, key of `daemon.json`, kind and help of each.

Settings of dockerd that mean nothing here are in it too, so that what was made for dockerd works: those in `IGNORED`
are noted in the log, those in `REFUSED` would promise a protection that is not there, and are errors.
"""

from dataclasses import dataclass

from engine.config import hosts, kinds, values
from engine.config.kinds import Kind

HELP_ONLY = ("help", "version", "validate", "config-file")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `key` is its name in the file (empty: as the flag); a leading `-` means that the file has none."""

    flag: str
    kind: Kind
    help: str
    short: str = ""
    key: str = ""
    default: str = ""
    section: str = ""

    @property
    def file_key(self) -> str:
        """Its name in `daemon.json`; nothing where the file cannot have it."""
        return "" if self.key.startswith("-") else self.key or self.flag

    @property
    def field(self) -> str:
        """Its field of Config."""
        return self.key.lstrip("-").replace("-", "_") or self.flag.replace("-", "_")

    @property
    def shown(self) -> str:
        """Its name in messages about it."""
        return f"-{self.short}, --{self.flag}" if self.short else f"--{self.flag}"


def _list(flag: str, key: str, text: str, kind: Kind, short: str = "") -> Option:
    return Option(flag, kind, text, short=short, key=key)


OPTIONS = (
    Option("add-runtime", kinds.RUNTIMES, "Register an additional OCI compatible runtime", key="runtimes"),
    Option("allow-direct-routing", kinds.BOOL, "Allow remote access to published ports on container IP addresses"),
    Option(
        "allow-insecure-tcp", kinds.BOOL, "Listen on TCP without TLS on other addresses than loopback (Wharf's own)"
    ),
    _list("authorization-plugin", "authorization-plugins", "Authorization plugins to load", kinds.strings()),
    Option("bip", kinds.STRING, "IPv4 address for the default bridge"),
    Option("bip6", kinds.STRING, "IPv6 address for the default bridge"),
    Option("bridge", kinds.STRING, 'Name of the default bridge; "none" for no default network', short="b"),
    _list("cdi-spec-dir", "cdi-spec-dirs", "CDI specification directories to use", kinds.strings()),
    Option("cgroup-parent", kinds.STRING, "Set parent cgroup for all containers"),
    Option("config-file", kinds.STRING, "Daemon configuration file", key="-", default='"/etc/wharf/daemon.json"'),
    Option("containerd", kinds.STRING, "containerd grpc address"),
    Option("containerd-namespace", kinds.STRING, "Containerd namespace to use"),
    Option("containerd-plugins-namespace", kinds.STRING, "Containerd namespace to use for plugins"),
    Option("cpu-rt-period", kinds.INT, "Limit the CPU real-time period in microseconds for the parent cgroup"),
    Option("cpu-rt-runtime", kinds.INT, "Limit the CPU real-time runtime in microseconds for the parent cgroup"),
    Option("cri-containerd", kinds.BOOL, "start containerd with cri"),
    Option("data-root", kinds.STRING, "Root directory of persistent state", default='"/var/lib/wharf"'),
    Option("debug", kinds.BOOL, "Enable debug mode", short="D"),
    _list("default-address-pool", "default-address-pools", "Default address pools for local networks", kinds.POOLS),
    Option("default-cgroupns-mode", kinds.STRING, 'Default mode for containers cgroup namespace ("host" | "private")'),
    Option("default-gateway", kinds.ADDRESS, "Default gateway IPv4 address for the default bridge network"),
    Option("default-gateway-v6", kinds.ADDRESS, "Default gateway IPv6 address for the default bridge network"),
    Option(
        "default-ipc-mode",
        kinds.STRING,
        'Default mode for containers ipc ("shareable" | "private")',
        default='"private"',
    ),
    _list("default-network-opt", "default-network-opts", "Default network options", kinds.NESTED_MAP),
    Option(
        "default-runtime", kinds.STRING, "Default OCI runtime for containers", default="crun where it works, or runc"
    ),
    Option("default-shm-size", kinds.SIZE, "Default shm size for containers", default="64MiB"),
    _list("default-ulimit", "default-ulimits", "Default ulimits for containers", kinds.ULIMITS),
    Option("dns", kinds.addresses("ipSlice", values.flag_address), "DNS server to use"),
    _list("dns-opt", "dns-opts", "DNS options to use", kinds.strings()),
    Option("dns-search", kinds.strings(check=values.dns_search), "DNS search domains to use"),
    _list("exec-opt", "exec-opts", "Runtime execution options", kinds.strings()),
    Option("exec-root", kinds.STRING, "Root directory for execution state files", default='"/run/wharf"'),
    Option("experimental", kinds.BOOL, "Enable experimental features"),
    _list("feature", "features", "Enable feature in the daemon", kinds.SWITCHES),
    Option("firewall-backend", kinds.STRING, 'Firewall backend ("iptables" | "nftables")', default="the host's own"),
    Option("fixed-cidr", kinds.STRING, "IPv4 subnet for the default bridge network"),
    Option("fixed-cidr-v6", kinds.STRING, "IPv6 subnet for the default bridge network"),
    Option("group", kinds.STRING, "Group for the unix socket", short="G", default='"docker"'),
    _list("host", "hosts", "Daemon socket(s) to connect to", kinds.strings(check=hosts.check), short="H"),
    _list(
        "host-gateway-ip",
        "host-gateway-ips",
        "IP addresses that the special 'host-gateway' string in --add-host resolves to",
        kinds.addresses("list", values.gateway_address),
    ),
    Option("http-proxy", kinds.STRING, "HTTP proxy URL to use for outgoing traffic", section="proxies"),
    Option("https-proxy", kinds.STRING, "HTTPS proxy URL to use for outgoing traffic", section="proxies"),
    Option("icc", kinds.BOOL, "Enable inter-container communication for the default bridge network", default="true"),
    Option(
        "image-gc",
        kinds.INT,
        "Delete the oldest unused images while more percent of the disk are in use, 0: never (Wharf's own)",
    ),
    Option("image-gc-age", kinds.INT, "Seconds for which image-gc keeps unused images (Wharf's own)", default="120"),
    Option("init", kinds.BOOL, "Run an init in the container to forward signals and reap processes"),
    Option("init-path", kinds.STRING, "Path to the docker-init binary"),
    _list(
        "insecure-registry",
        "insecure-registries",
        "Enable insecure registry communication",
        kinds.strings(check=values.insecure_registry),
    ),
    Option("ip", kinds.ADDRESS, "Host IP for port publishing from the default bridge network", default="0.0.0.0"),
    Option("ip-forward", kinds.BOOL, "Enable IP forwarding in system configuration", default="true"),
    Option(
        "ip-forward-no-drop", kinds.BOOL, "Do not set the filter-FORWARD policy to DROP when enabling IP forwarding"
    ),
    Option("ip-masq", kinds.BOOL, "Enable IP masquerading for the default bridge network", default="true"),
    Option("ip6tables", kinds.BOOL, "Enable addition of ip6tables rules", default="true"),
    Option("iptables", kinds.BOOL, "Enable addition of iptables rules", default="true"),
    Option("ipv6", kinds.BOOL, "Enable IPv6 networking for the default bridge network"),
    _list("label", "labels", "Set key=value labels to the daemon", kinds.strings(check=values.label)),
    Option("live-restore", kinds.BOOL, "Keep containers alive while the daemon is down", default="always on"),
    Option("log-driver", kinds.STRING, "Default driver for container logs", default='"json-file"'),
    Option("log-format", kinds.STRING, 'Set the logging format ("text"|"json")', default='"text"'),
    Option(
        "log-level",
        kinds.STRING,
        'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")',
        short="l",
        default='"info"',
    ),
    _list("log-opt", "log-opts", "Default log driver options for containers", kinds.MAP),
    Option("max-concurrent-downloads", kinds.INT, "Set the max concurrent downloads", default="3"),
    Option("max-concurrent-uploads", kinds.INT, "Set the max concurrent uploads", default="5"),
    Option("max-download-attempts", kinds.INT, "Set the max download attempts for each pull", default="5"),
    Option("metrics-addr", kinds.STRING, "Set default address and port to serve the metrics api on"),
    Option("mtu", kinds.INT, "Set the MTU for the default bridge network", default="1500"),
    Option("network-control-plane-mtu", kinds.INT, "Network Control plane MTU"),
    Option("no-new-privileges", kinds.BOOL, "Set no-new-privileges by default for new containers"),
    Option("no-proxy", kinds.STRING, "Comma-separated list of hosts for which the proxy is skipped", section="proxies"),
    _list("node-generic-resource", "node-generic-resources", "Advertise user-defined resource", kinds.strings()),
    Option(
        "pidfile",
        kinds.STRING,
        "Path to use for daemon PID file",
        short="p",
        default='"/run/wharf.pid"; with another --exec-root, wharf.pid in it',
    ),
    Option("raw-logs", kinds.BOOL, "Full timestamps without ANSI coloring"),
    _list(
        "registry-mirror",
        "registry-mirrors",
        "Preferred mirror: URL for docker.io, HOST=URL for any registry",
        kinds.strings(check=values.mirror),
    ),
    Option("rootless", kinds.BOOL, "Enable rootless mode; typically used with RootlessKit"),
    Option(
        "seccomp-profile",
        kinds.STRING,
        'Path to seccomp profile, or "unconfined" to disable the default one',
        default='"builtin"',
    ),
    Option("selinux-enabled", kinds.BOOL, "Enable selinux support"),
    Option("shutdown-timeout", kinds.INT, "Set the default shutdown timeout", default="15"),
    Option("storage-driver", kinds.STRING, "Storage driver to use: overlayfs", short="s"),
    _list("storage-opt", "storage-opts", "Storage driver options", kinds.strings()),
    Option(
        "swarm-default-advertise-addr", kinds.STRING, "Set default address or interface for swarm advertised address"
    ),
    Option("tls", kinds.BOOL, "Use TLS; implied by --tlsverify"),
    Option("tlscacert", kinds.STRING, "Trust certs signed only by this CA", default='"~/.docker/ca.pem"'),
    Option("tlscert", kinds.STRING, "Path to TLS certificate file", default='"~/.docker/cert.pem"'),
    Option("tlskey", kinds.STRING, "Path to TLS key file", default='"~/.docker/key.pem"'),
    Option("tlsverify", kinds.BOOL, "Use TLS and verify the remote"),
    Option("userland-proxy", kinds.BOOL, "Relay what kernel rules cannot (IPv6 loopback)", default="true"),
    Option("userland-proxy-path", kinds.STRING, "Path to the userland proxy binary"),
    Option("userns-remap", kinds.STRING, "User/Group setting for user namespaces"),
    Option("validate", kinds.BOOL, "Validate daemon configuration and exit", key="-validate-only"),
    Option("version", kinds.BOOL, "Print version information and quit", short="v", key="-"),
    Option("help", kinds.BOOL, "Print usage", key="-"),
    Option("builder", kinds.BUILDER, "", key="builder"),
    Option("deprecated-key-path", kinds.ANYTHING, "", key="deprecated-key-path"),
    Option("network-diagnostic-port", kinds.ANYTHING, "", key="network-diagnostic-port"),
)

# These the file alone can have.
FILE_ONLY = ("builder", "deprecated-key-path", "network-diagnostic-port")

IGNORED = {
    "containerd": "there is no containerd",
    "containerd-namespace": "there is no containerd",
    "containerd-plugins-namespace": "there is no containerd",
    "cpu-rt-period": "real-time scheduling of the parent cgroup is left to the host",
    "cpu-rt-runtime": "real-time scheduling of the parent cgroup is left to the host",
    "cri-containerd": "there is no containerd",
    "deprecated-key-path": "there are no trust keys",
    "network-control-plane-mtu": "there is no swarm",
    "network-diagnostic-port": "there is no swarm",
    "node-generic-resources": "there is no swarm",
    "raw-logs": "log lines always carry full timestamps",
    "swarm-default-advertise-addr": "there is no swarm",
    "userland-proxy-path": "the relay is part of the daemon",
}

REFUSED = {
    "metrics-addr": "the metrics endpoint is not supported yet",
    "rootless": "rootless mode is not supported yet",
    "selinux-enabled": "SELinux labels are not supported yet",
}

BY_FLAG = {option.flag: option for option in OPTIONS if option.flag not in FILE_ONLY}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
BY_KEY = {option.file_key: option for option in OPTIONS if option.file_key} | {
    "host-gateway-ip": BY_FLAG["host-gateway-ip"]
}
