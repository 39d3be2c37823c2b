"""The OCI configuration of twenty containers, compared with what dockerd 28.5 handed to runc (`recorded.json`).

The recording machine: cgroup v1, kernel 6.18, no AppArmor, runc 1.1.5. The system call filter has tests of its own.
"""

import json
from pathlib import Path

import pytest

from engine.core.model.device import HostDevice
from engine.domain.containers.spec import capabilities
from engine.domain.containers.spec.build import EtcPaths, HostFacts, Joined, SpecRequest, oci_spec
from engine.domain.containers.users import ResolvedUser
from engine.tests.recorded_container import container_of

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
DEVICES = {
    "/dev/null": HostDevice(path="/dev/null", kind="c", major=1, minor=3, mode=0o666),
    "/dev/loop0": HostDevice(path="/dev/loop0", kind="b", major=7, minor=0, mode=0o600),
    "/dev/zero": HostDevice(path="/dev/zero", kind="c", major=1, minor=5, mode=0o666),
    "/dev/vda": HostDevice(path="/dev/vda", kind="b", major=254, minor=0, mode=0o600),
    "/dev/zram0": HostDevice(path="/dev/zram0", kind="b", major=253, minor=0, mode=0o600),
}


def host_device(node) -> HostDevice:
    return HostDevice(
        path=node["path"],
        kind=node["type"],
        major=node["major"],
        minor=node["minor"],
        mode=node["fileMode"],
        uid=node["uid"],
        gid=node["gid"],
    )


def request_of(inspected, config) -> SpecRequest:
    """Return the request that makes the container of a recording; what is looked up comes from the recording."""
    container = container_of(inspected)
    user, linux = config["process"]["user"], config["linux"]
    paths = {n["type"]: n.get("path", "") for n in linux["namespaces"]}
    shared = (m["source"] for m in config["mounts"] if m["destination"] == "/dev/shm" and m["type"] == "bind")
    privileged = container.host_config.privileged
    host = HostFacts(
        capabilities=RECORDED["priv"]["config"]["process"]["capabilities"]["bounding"],
        kernel=(6, 18),
        hostname="vm",
        devices=[host_device(n) for n in linux["devices"]] if privileged else (),
    )
    return SpecRequest(
        container=container,
        rootfs=config["root"]["path"],
        user=ResolvedUser(user["uid"], user["gid"], tuple(user["additionalGids"])),
        host=host,
        mounts=container.mounts,
        etc=EtcPaths(inspected["HostsPath"], inspected["HostnamePath"], inspected["ResolvConfPath"]),
        shm=next(shared, ""),
        joined=Joined(paths.get("network"), paths.get("ipc", ""), paths.get("pid", "")),
        cgroup=linux["cgroupsPath"],
        devices={path: [device] for path, device in DEVICES.items()},
        init="/usr/bin/docker-init" if container.host_config.init else "",
    )


def normalised(config, *, with_seccomp: bool):
    """Return a configuration without what says the same in another way."""
    config = json.loads(json.dumps(config))
    linux = config["linux"]
    config.pop("ociVersion")
    # dockerd leaves HOME to runc, which sets it by the same rule; crun sets it only for users in /etc/passwd.
    config["process"]["env"] = [e for e in config["process"]["env"] if not e.startswith("HOME=")]
    if not with_seccomp:
        linux.pop("seccomp", None)
    if not linux["resources"].get("blockIO"):
        linux["resources"].pop("blockIO", None)
    linux["resources"]["devices"] = _rules(linux["resources"]["devices"])
    for mount in config["mounts"]:
        if mount["destination"] in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
            # Nothing is mounted below a file, so that recursively read-only is the same.
            mount["options"] = ["ro" if o == "rro" else o for o in mount["options"]]
        if mount["destination"] == "/dev/shm" and mount["type"] == "bind":
            # These the source has already; crun drops them unless they are said again.
            mount["options"] = [o for o in mount["options"] if o not in ("nosuid", "noexec", "nodev")]
    config["mounts"] = sorted(config["mounts"], key=lambda m: (m["destination"].count("/"), m["destination"]))
    return config


def _rules(rules):
    """dockerd writes each rule twice; -1 is any minor; what stands before a rule for everything does not count."""
    seen = []
    for full in rules:
        rule = {k: v for k, v in full.items() if v != -1}
        if rule == {"allow": True, "access": "rwm"}:
            seen = []
        if rule not in seen:
            seen.append(rule)
    return seen


@pytest.mark.parametrize("name", RECORDED)
def test_the_configuration_is_dockerds(name):
    recorded = RECORDED[name]
    ours = oci_spec(request_of(recorded["inspect"], recorded["config"]))
    with_seccomp = name == "seccomp"
    assert normalised(ours, with_seccomp=with_seccomp) == normalised(recorded["config"], with_seccomp=with_seccomp)


def test_parents_are_mounted_before_what_is_below_them():
    ours = oci_spec(request_of(RECORDED["rich"]["inspect"], RECORDED["rich"]["config"]))
    places = [m["destination"] for m in ours["mounts"]]
    assert places.index("/v") < places.index("/v/deep")


def test_capabilities_of_a_mask():
    assert capabilities.from_mask(0b11) == ("CAP_CHOWN", "CAP_DAC_OVERRIDE")
