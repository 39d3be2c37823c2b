"""The codec: names, round trips, Go's rules for reading JSON."""

import json
from pathlib import Path

import msgspec
import pytest

from engine.api.wire.codec import InvalidJSON, TrailingContent, decode, encode, parse
from engine.api.wire.names import json_name
from engine.core.model.container import ContainerConfig, HostConfig, Mount
from engine.core.model.exec import ExecConfig
from engine.core.model.network import EndpointSettings, Network

HOST_CONFIG = {
    "Binds": ["/a:/b"],
    "ContainerIDFile": "/cid",
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    "NetworkMode": "bridge",
    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/udp": None},
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    "AutoRemove": True,
    "VolumeDriver": "local",
    "VolumesFrom": ["x:ro"],
    "ConsoleSize": [24, 80],
    "Annotations": {"a": "b"},
    "CapAdd": ["NET_ADMIN"],
    "CapDrop": [],
    "CgroupnsMode": "private",
    "Dns": ["1.1.1.1"],
    "DnsOptions": [],
    "DnsSearch": ["x"],
    "ExtraHosts": ["a:1.2.3.4"],
    "GroupAdd": ["1"],
    "IpcMode": "private",
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": -5,
    "PidMode": "host",
    "Privileged": True,
    "PublishAllPorts": True,
    "ReadonlyRootfs": True,
    "SecurityOpt": ["no-new-privileges"],
    "StorageOpt": {"size": "1g"},
    "Tmpfs": {"/t": ""},
    "UTSMode": "host",
    "UsernsMode": "host",
    "ShmSize": 67108864,
    "Sysctls": {"net.core.somaxconn": "1"},
    "Runtime": "runc",
    "Isolation": "default",
    "CpuShares": 1,
    "Memory": 2,
    "NanoCpus": 3,
    "CgroupParent": "p",
    "BlkioWeight": 4,
    "BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 5}],
    "BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 6}],
    "BlkioDeviceWriteBps": [],
    "BlkioDeviceReadIOps": [{"Path": "/dev/sda", "Rate": 7}],
    "BlkioDeviceWriteIOps": None,
    "CpuPeriod": 8,
    "CpuQuota": 9,
    "CpuRealtimePeriod": 10,
    "CpuRealtimeRuntime": 11,
    "CpusetCpus": "0",
    "CpusetMems": "0",
    "Devices": [{"PathOnHost": "/a", "PathInContainer": "/b", "CgroupPermissions": "rwm"}],
    "DeviceCgroupRules": ["c 1:1 r"],
    "DeviceRequests": [{"Driver": "d", "Count": -1, "DeviceIDs": ["0"], "Capabilities": [["gpu"]], "Options": {}}],
    "KernelMemory": 12,
    "KernelMemoryTCP": 13,
    "MemoryReservation": 14,
    "MemorySwap": -1,
    "MemorySwappiness": 60,
    "OomKillDisable": False,
    "PidsLimit": 100,
    "Ulimits": [{"Name": "nofile", "Hard": 2, "Soft": 1}],
    "CpuCount": 1,
    "CpuPercent": 2,
    "IOMaximumIOps": 3,
    "IOMaximumBandwidth": 4,
    "Mounts": [{"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": {"NoCopy": True}}],
    "MaskedPaths": ["/proc/kcore"],
    "ReadonlyPaths": [],
    "Init": False,
}


def test_every_host_config_field_survives_the_round_trip():
    assert {json_name(f) for f in HostConfig.__struct_fields__} == set(HOST_CONFIG)
    decoded = decode(json.dumps(HOST_CONFIG).encode(), HostConfig)
    assert json.loads(json.dumps(encode(decoded))) == HOST_CONFIG


def test_real_inspect_samples_encode_with_the_same_keys():
    sample = Path("/work/shared/reference/samples/container-inspect-rich.json")
    if not sample.exists():
        pytest.skip("the reference samples are not here")
    inspected = json.loads(sample.read_text())
    for name, kind in (("HostConfig", HostConfig), ("Config", ContainerConfig)):
        assert json.loads(json.dumps(encode(decode(inspected[name], kind)))) == inspected[name]


def test_zero_values_are_left_out_or_null_as_go_does():
    assert "Healthcheck" not in encode(ContainerConfig())
    assert encode(ContainerConfig())["Cmd"] is None
    assert encode(ContainerConfig(stop_timeout=0))["StopTimeout"] == 0
    assert encode(HostConfig(init=False))["Init"] is False
    assert encode(Mount(type="bind", target="/x")) == {"Type": "bind", "Target": "/x"}
    assert "requested_mac" not in json.dumps(encode(EndpointSettings(requested_mac="x")))


def test_network_names():
    encoded = encode(Network(name="n", id="i", created_at=1))
    assert {"Name", "Id", "EnableIPv4", "EnableIPv6", "IPAM", "Internal", "Labels"} <= set(encoded)


def test_keys_match_in_any_case_and_the_last_one_wins():
    assert decode(b'{"image":"a","IMAGE":"b","nosuch":1}', ContainerConfig).image == "b"


def test_null_is_the_zero_value():
    decoded = decode(b'{"Image":null,"Cmd":null,"Tty":null}', ContainerConfig)
    assert (decoded.image, decoded.cmd, decoded.tty) == ("", None, False)
    assert decode(b"null", ContainerConfig) == ContainerConfig()


def test_a_string_is_a_list_of_one_where_moby_says_so():
    assert decode(b'{"Cmd":"x y","Entrypoint":[]}', ContainerConfig).cmd == ["x y"]
    with pytest.raises(InvalidJSON, match=r"string into Go struct field ExecOptions.Cmd of type \[\]string"):
        decode(b'{"Cmd":"x"}', ExecConfig)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"Image":5}', ContainerConfig, "json: cannot unmarshal number into Go struct field .Image of type string"),
        (b'{"Cmd":5}', ContainerConfig, "json: cannot unmarshal number into Go value of type string"),
        (b'{"Labels":{"a":1}}', ContainerConfig, "number into Go struct field .Labels.a of type string"),
        (b'{"Env":"x"}', ContainerConfig, "string into Go struct field .Env of type []string"),
        (b'{"Volumes":[]}', ContainerConfig, "array into Go struct field .Volumes of type map[string]struct {}"),
        (b'{"ExposedPorts":{"80/tcp":1}}', ContainerConfig, "field .ExposedPorts.80~1tcp of type struct {}"),
        (b'{"StopTimeout":"5"}', ContainerConfig, "string into Go struct field .StopTimeout of type int"),
        (b'{"Healthcheck":{"Interval":"1s"}}', ContainerConfig, "field .Healthcheck.Interval of type time.Duration"),
    ],
)
def test_wrong_types_are_told_as_go_tells_them(body, kind, message):
    with pytest.raises(InvalidJSON) as raised:
        decode(body, kind)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Memory": "x"}, "string into Go struct field .HostConfig.Memory of type int64"),
        ({"Memory": 1.5}, "number 1.5 into Go struct field .HostConfig.Memory of type int64"),
        ({"BlkioWeight": 70000}, "number 70000 into Go struct field .HostConfig.BlkioWeight of type uint16"),
        ({"PortBindings": {"80/tcp": "x"}}, "field .HostConfig.PortBindings.80~1tcp of type []nat.PortBinding"),
        ({"Mounts": [{"ReadOnly": "x"}]}, "field .HostConfig.Mounts.0.ReadOnly of type bool"),
        ({"LogConfig": "x"}, "field .HostConfig.LogConfig of type container.LogConfig"),
        ([], "array into Go struct field .HostConfig of type container.HostConfig"),
    ],
)
def test_the_path_of_a_part_is_told(value, message):
    with pytest.raises(InvalidJSON) as raised:
        decode(value, HostConfig, ".HostConfig")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "invalid JSON: got EOF while reading request body"),
        (b"{", "invalid JSON: unexpected EOF"),
        (b"{a:1}", "invalid JSON: invalid character 'a' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid JSON: invalid character '}' looking for beginning of object key string"),
        (b"x", "invalid JSON: invalid character 'x' looking for beginning of value"),
        (b"\x00", "invalid JSON: invalid character '\\x00' looking for beginning of value"),
    ],
)
def test_what_is_no_json_is_told_as_go_tells_it(body, message):
    with pytest.raises(InvalidJSON) as raised:
        parse(body)
    assert str(raised.value) == message


def test_content_behind_the_value_is_refused():
    with pytest.raises(TrailingContent):
        parse(b'{"a":1} x')


def test_a_fixed_array_is_filled_and_cut():
    assert decode(b'{"ConsoleSize":[1]}', HostConfig).console_size == (1, 0)
    assert decode(b'{"ConsoleSize":[1,2,3]}', HostConfig).console_size == (1, 2)


def test_encoding_is_json():
    assert msgspec.json.encode(encode(HostConfig())).startswith(b'{"Binds":null')
