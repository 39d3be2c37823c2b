"""Containers of which recorded inspect answers of dockerd speak."""

import msgspec

from engine.api.wire.codec import decode
from engine.core import times
from engine.core.model.container import (
    Container,
    ContainerConfig,
    Health,
    HealthResult,
    HostConfig,
    ImageManifest,
    Mount,
    MountPoint,
    Sandbox,
    State,
    Status,
)
from engine.core.model.network import EndpointSettings, PortBinding


def state_of(shown) -> State:
    health = None
    if "Health" in shown:
        log = [
            HealthResult(
                start=times.parse_rfc3339(r["Start"]), end=times.parse_rfc3339(r["End"]), exit_code=0, output=""
            )
            for r in shown["Health"]["Log"]
        ]
        health = Health(status=shown["Health"]["Status"], log=log)
    return State(
        status=Status(shown["Status"]),
        pid=shown["Pid"],
        exit_code=shown["ExitCode"],
        started_at=times.parse_rfc3339(shown["StartedAt"]),
        finished_at=times.parse_rfc3339(shown["FinishedAt"]),
        health=health,
    )


def mount_of(shown, specs: dict[str, Mount]) -> MountPoint:
    fields = {"Type": "type", "Name": "name", "Source": "source", "Destination": "destination", "Driver": "driver",
              "Mode": "mode", "RW": "rw", "Propagation": "propagation"}  # fmt: skip
    anonymous = len(shown.get("Name", "")) == 64
    return MountPoint(
        **{fields[k]: v for k, v in shown.items()}, spec=specs.get(shown["Destination"]), anonymous=anonymous
    )


def endpoint_of(shown, requested: str) -> EndpointSettings:
    return msgspec.structs.replace(decode(shown, EndpointSettings), requested_mac=requested)


def container_of(shown) -> Container:
    """Return the container of which a recorded inspect answer speaks."""
    config = dict(shown["Config"])
    requested = config.pop("MacAddress", "")
    settings = shown["NetworkSettings"]
    ports = {
        port: [PortBinding(host_ip=b["HostIp"], host_port=b["HostPort"]) for b in bindings] if bindings else None
        for port, bindings in settings["Ports"].items()
    }
    manifest = shown["ImageManifestDescriptor"]
    host_config = decode(shown["HostConfig"], HostConfig)
    specs = {m.target: m for m in host_config.mounts or ()}
    return Container(
        id=shown["Id"],
        name=shown["Name"][1:],
        created_at=times.parse_rfc3339(shown["Created"]),
        image=shown["Image"],
        config=decode(config, ContainerConfig),
        host_config=host_config,
        path=shown["Path"],
        args=shown["Args"],
        mounts=[mount_of(m, specs) for m in shown["Mounts"]],
        networks={n: endpoint_of(e, requested) for n, e in settings["Networks"].items()},
        sandbox=Sandbox(id=settings["SandboxID"], netns=settings["SandboxKey"], ports=ports),
        state=state_of(shown["State"]),
        started_once=True,
        log_path=shown["LogPath"],
        manifest=ImageManifest(
            media_type=manifest["mediaType"], digest=manifest["digest"], size=manifest["size"], **manifest["platform"]
        ),
    )
