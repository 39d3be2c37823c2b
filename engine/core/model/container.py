"""Containers as the daemon knows them: configuration, host configuration, state.

Field names follow the Engine API's JSON in snake case; the codec in `engine/api/wire` derives the JSON names. `None`
and an empty list differ on purpose: clients see `null` or `[]` exactly as they sent it.
Sizes are bytes, CPU times nanoseconds, instants nanoseconds since the epoch (0: never).
"""

from enum import StrEnum

from msgspec import Struct

from engine.core.model.network import EndpointSettings, PortBinding


class Status(StrEnum):
    """The states of a container that a client can see."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


class Empty(Struct, frozen=True):
    """An empty JSON object: the value type of Docker's sets."""


class Healthcheck(Struct, frozen=True, kw_only=True):
    """How to test that a container works. Times in nanoseconds."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(Struct, frozen=True, kw_only=True):
    """The portable part of a container's configuration (`Config`)."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Empty] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, Empty] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None


class RestartPolicy(Struct, frozen=True, kw_only=True):
    """`name` is empty or `no`, `always`, `unless-stopped`, `on-failure`."""

    name: str = ""
    maximum_retry_count: int = 0


class LogConfig(Struct, frozen=True, kw_only=True):
    """The log driver's name and its options."""

    type: str = ""
    config: dict[str, str] | None = None


class WeightDevice(Struct, frozen=True, kw_only=True):
    """A block device's share of I/O."""

    path: str = ""
    weight: int = 0


class ThrottleDevice(Struct, frozen=True, kw_only=True):
    """A block device's limit: bytes or operations per second."""

    path: str = ""
    rate: int = 0


class DeviceMapping(Struct, frozen=True, kw_only=True):
    """A host device made visible in the container."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Struct, frozen=True, kw_only=True):
    """A request to a device driver (GPUs, CDI)."""

    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = None
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class Ulimit(Struct, frozen=True, kw_only=True):
    """A resource limit of the first process."""

    name: str = ""
    hard: int = 0
    soft: int = 0


class BindOptions(Struct, frozen=True, kw_only=True):
    """Options of a bind mount."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriverConfig(Struct, frozen=True, kw_only=True):
    """The driver that a volume is made with."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Struct, frozen=True, kw_only=True):
    """Options of a volume mount."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    subpath: str = ""
    driver_config: VolumeDriverConfig | None = None


class ImageOptions(Struct, frozen=True, kw_only=True):
    """Options of an image mount (API 1.48)."""

    subpath: str = ""


class TmpfsOptions(Struct, frozen=True, kw_only=True):
    """Options of a tmpfs mount: size in bytes, permission bits."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class Mount(Struct, frozen=True, kw_only=True):
    """A mount as a client asks for it (`HostConfig.Mounts`). `type` is bind, volume, tmpfs, image or npipe."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class HostConfig(Struct, frozen=True, kw_only=True):
    """The host-dependent part of a container's configuration (`HostConfig`)."""

    binds: list[str] | None = None
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: tuple[int, int] = (0, 0)
    annotations: dict[str, str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = None
    blkio_device_write_iops: list[ThrottleDevice] | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    kernel_memory: int = 0
    kernel_memory_tcp: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0
    mounts: list[Mount] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | None = None


class MountPoint(Struct, frozen=True, kw_only=True):
    """A mount as it is (`Mounts` of inspect): what create resolved from binds, mounts, volumes and the image.

    `type` is bind, volume, tmpfs or image; `name` and `driver` belong to volumes; `source` is a path on the host.
    `copy_up`: an empty volume first receives what the image has at `destination`. `image` and `layers` are the id and
    the chain IDs of a mounted image.
    """

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    copy_up: bool = False
    subpath: str = ""
    anonymous: bool = False
    image: str = ""
    layers: list[str] = []
    spec: Mount | None = None


class HealthResult(Struct, frozen=True, kw_only=True):
    """One run of a health check."""

    start: int
    end: int
    exit_code: int
    output: str


class Health(Struct, frozen=True, kw_only=True):
    """The health of a running container; `status` is none, starting, healthy or unhealthy."""

    status: str = "starting"
    failing_streak: int = 0
    log: list[HealthResult] = []


class State(Struct, frozen=True, kw_only=True):
    """Where a container is in its life."""

    status: Status = Status.CREATED
    pid: int = 0
    monitor_pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    dead: bool = False
    started_at: int = 0
    finished_at: int = 0
    health: Health | None = None

    @property
    def running(self) -> bool:
        """Docker counts a paused and a restarting container as running."""
        return self.status in (Status.RUNNING, Status.PAUSED) or (self.status is Status.RESTARTING)


class Sandbox(Struct, frozen=True, kw_only=True):
    """The network namespace of a started container; `ports` maps `80/tcp` to what it is published on."""

    id: str = ""
    netns: str = ""
    ports: dict[str, list[PortBinding] | None] = {}


class ImageManifest(Struct, frozen=True, kw_only=True):
    """The manifest, of those that an image has, that a container was made from. `size` in bytes."""

    media_type: str
    digest: str
    size: int
    os: str = ""
    architecture: str = ""
    variant: str = ""
    annotations: dict[str, str] | None = None


class Container(Struct, frozen=True, kw_only=True):
    """One container: an immutable snapshot, replaced on each change.

    `image` is the digest that the container's image reference pointed at on create; `path` and `args` are the merged
    entrypoint and command; `networks` maps a network's name to the endpoint's settings, asked for and resolved;
    `stopped_by_user` keeps a restart policy from starting it again.
    """

    id: str
    name: str
    created_at: int
    image: str
    config: ContainerConfig
    host_config: HostConfig
    path: str = ""
    args: list[str] = []
    layers: list[str] = []
    mounts: list[MountPoint] = []
    networks: dict[str, EndpointSettings] = {}
    sandbox: Sandbox = Sandbox()
    state: State = State()
    restart_count: int = 0
    stopped_by_user: bool = False
    started_once: bool = False
    platform: str = "linux"
    log_path: str = ""
    manifest: ImageManifest | None = None
