"""`/version`, `/info`, `/system/df` and events as each API version shows them."""

import dataclasses
from pathlib import Path

import pytest

from engine.api.wire.events import encode_event
from engine.api.wire.system import encode_disk_usage, encode_info, encode_version
from engine.core.model.event import Event, EventType
from engine.core.model.volume import Volume
from engine.domain.system.disk_usage import DiskUsage, Kind, UnknownKind, parse_kinds
from engine.domain.system.host import Machine, parse_os_release
from engine.domain.system.identity import engine_id
from engine.domain.system.info import Component, Counts, Info, InfoSettings, ProxyInfo, RegistryInfo, VersionInfo
from engine.domain.system.runtimes import RuntimeInfo
from engine.domain.volumes.volumes import Usage
from engine.drivers.cgroups.abilities import Abilities

MACHINE = Machine("6.1", "x86_64", "amd64", "Debian GNU/Linux 12 (bookworm)", "12", 2, 1 << 30)
# The keys of dockerd 28.5 at API 1.51, but Containerd, which is left out where there is none.
KEYS = set(
    """ID Containers ContainersRunning ContainersPaused ContainersStopped Images Driver DriverStatus Plugins
    MemoryLimit SwapLimit KernelMemoryTCP CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit IPv4Forwarding Debug NFd
    OomKillDisable NGoroutines SystemTime LoggingDriver CgroupDriver CgroupVersion NEventsListener KernelVersion
    OperatingSystem OSVersion OSType Architecture IndexServerAddress RegistryConfig NCPU MemTotal GenericResources
    DockerRootDir HttpProxy HttpsProxy NoProxy Name Labels ExperimentalBuild ServerVersion Runtimes DefaultRuntime
    Swarm LiveRestoreEnabled Isolation InitBinary ContainerdCommit RuncCommit InitCommit SecurityOptions
    FirewallBackend CDISpecDirs Warnings""".split()
)


def info(**settings):
    return Info(
        settings=InfoSettings(root=Path("/var/lib/wharf"), firewall="nftables", **settings),
        machine=MACHINE,
        abilities=Abilities(memory=True, swap=True, kernel_memory_tcp=True, oom_kill_disable=True),
        counts=Counts(1, 2, 3, images=4, listeners=5, descriptors=6, tasks=7),
        runtimes=[RuntimeInfo("runc", "/usr/bin/runc", "1.1.5", "abc", "{}"), RuntimeInfo("crun", "/usr/bin/crun")],
        default_runtime="runc",
        ipv4_forwarding=True,
        warnings=[],
        host_name="box",
        time=1_795_551_161_680_352_303,
    )


def test_info_has_the_keys_of_dockerd():
    assert set(encode_info(info(), (1, 51))) == KEYS


def test_info_counts():
    answer = encode_info(info(), (1, 51))
    assert (answer["Containers"], answer["ContainersRunning"], answer["ContainersStopped"]) == (6, 1, 3)
    assert answer["Warnings"] is None
    assert answer["Runtimes"]["io.containerd.runc.v2"] == answer["Runtimes"]["runc"]
    assert answer["RuncCommit"] == {"ID": "abc"}
    assert answer["SystemTime"] == "2026-11-24T20:12:41.680352303Z"


@pytest.mark.parametrize(
    ("version", "key", "present"),
    [
        ((1, 41), "KernelMemory", True),
        ((1, 42), "KernelMemory", False),
        ((1, 48), "FirewallBackend", False),
        ((1, 49), "FirewallBackend", True),
        ((1, 49), "BridgeNfIptables", True),
        ((1, 50), "BridgeNfIptables", False),
    ],
)
def test_info_by_version(version, key, present):
    assert (key in encode_info(info(), version)) is present


def test_info_values_by_version():
    assert encode_info(info(), (1, 24))["SecurityOptions"] == ["seccomp"]
    assert encode_info(info(), (1, 25))["SecurityOptions"] == ["name=seccomp,profile=builtin"]
    assert "status" not in encode_info(info(), (1, 43))["Runtimes"]["runc"]
    assert "status" in encode_info(info(), (1, 44))["Runtimes"]["runc"]
    assert "AllowNondistributableArtifactsCIDRs" in encode_info(info(), (1, 46))["RegistryConfig"]
    assert "AllowNondistributableArtifactsCIDRs" not in encode_info(info(), (1, 47))["RegistryConfig"]
    assert encode_info(info(), (1, 48))["InitCommit"] == {"ID": "N/A", "Expected": "N/A"}


def test_info_registries_and_proxies():
    registry = RegistryInfo(["10.0.0.0/8", "reg:5000"], ["https://mirror/"])
    proxies = ProxyInfo("http://user:secret@proxy:3128", "proxy:1", "localhost")
    answer = encode_info(info(registry=registry, proxies=proxies), (1, 51))
    assert answer["RegistryConfig"]["InsecureRegistryCIDRs"] == ["::1/128", "127.0.0.0/8", "10.0.0.0/8"]
    assert answer["RegistryConfig"]["IndexConfigs"]["reg:5000"]["Secure"] is False
    assert answer["RegistryConfig"]["Mirrors"] == ["https://mirror/"]
    assert answer["HttpProxy"] == "http://xxxxx:xxxxx@proxy:3128"
    assert answer["HttpsProxy"] == "proxy:1"


def test_version():
    components = [Component("Engine", "28.5.2"), Component("Wharf", "0.1.0", {"GitCommit": ""})]
    answer = encode_version(VersionInfo(MACHINE, False, 1_795_551_161_000_000_000, components))
    assert answer["Platform"] == {"Name": "Wharf"}
    assert (answer["Version"], answer["ApiVersion"], answer["MinAPIVersion"]) == ("28.5.2", "1.51", "1.24")
    assert answer["BuildTime"] == "2026-11-24T20:12:41.000000000+00:00"
    engine = answer["Components"][0]
    assert engine["Details"]["Experimental"] == "false"
    assert engine["Details"]["ApiVersion"] == "1.51"
    assert "Experimental" not in answer


def test_disk_usage_tells_nothing_from_not_asked():
    everything = DiskUsage(0, [], [], [], [])
    assert encode_disk_usage(everything, (1, 51), None) == {
        "LayersSize": 0,
        "Images": [],
        "Containers": [],
        "Volumes": [],
        "BuildCache": [],
    }
    volume = Volume(name="v", created_at=1_795_551_161_680_352_303, mountpoint="/m", options={})
    some = dataclasses.replace(DiskUsage(), volumes=[Usage(volume, 5, 1)])
    answer = encode_disk_usage(some, (1, 51), None)
    assert (answer["Images"], answer["Containers"], answer["BuildCache"]) == (None, None, None)
    assert answer["Volumes"] == [
        {
            "CreatedAt": "2026-11-24T20:12:41Z",
            "Driver": "local",
            "Labels": None,
            "Mountpoint": "/m",
            "Name": "v",
            "Options": {},
            "Scope": "local",
            "UsageData": {"RefCount": 1, "Size": 5},
        }
    ]


def test_kinds():
    assert parse_kinds([]) == set(Kind)
    assert parse_kinds(["volume", "build-cache"]) == {Kind.VOLUME, Kind.BUILD_CACHE}
    with pytest.raises(UnknownKind, match=r"^unknown object type: bogus$"):
        parse_kinds(["volume", "bogus"])


def test_events_of_containers_and_images_have_legacy_fields():
    event = Event(
        type=EventType.CONTAINER, action="die", actor="c1", attributes={"image": "i", "a": "b"}, time=1_000_000_007
    )
    answer = encode_event(event, (1, 51))
    assert list(answer) == ["status", "id", "from", "Type", "Action", "Actor", "scope", "time", "timeNano"]
    assert list(answer["Actor"]["Attributes"]) == ["a", "image"]
    assert (answer["time"], answer["timeNano"]) == (1, 1_000_000_007)
    image = Event(type=EventType.IMAGE, action="tag", actor="sha256:1", attributes={"name": "x"}, time=1)
    assert "from" not in encode_event(image, (1, 24))
    assert encode_event(image, (1, 24))["status"] == "tag"
    volume = Event(type=EventType.VOLUME, action="create", actor="v", attributes={"driver": "local"}, time=1)
    assert "status" not in encode_event(volume, (1, 24))


def test_the_identifier_is_kept(tmp_path):
    first = engine_id(tmp_path / "engine-id")
    assert engine_id(tmp_path / "engine-id") == first
    assert len(first) == 36


def test_os_release():
    text = "# x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\nID=debian\n\n"
    assert parse_os_release(text) == {
        "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)",
        "VERSION_ID": "12",
        "ID": "debian",
    }
