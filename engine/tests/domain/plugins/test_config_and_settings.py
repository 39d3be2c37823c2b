"""Plugins' configurations: read in any case, what they want, what can be set; and the OCI configuration."""

import json

import pytest

from engine.core.model.image import Descriptor
from engine.core.model.plugin import InstalledPlugin, Privilege
from engine.domain.containers.spec.request import HostFacts
from engine.domain.plugins import failures
from engine.domain.plugins.config import capabilities, encode_config, initial_settings, privileges, read_config
from engine.domain.plugins.install import _require_agreed
from engine.domain.plugins.paths import PluginPaths
from engine.domain.plugins.settings import changed
from engine.domain.plugins.spec import PluginSpecRequest, plugin_spec

CONFIG = {
    "Description": "d",
    "EntryPoint": ["/driver"],
    "workdir": "/w",
    "interface": {"types": ["docker.volumedriver/1.0", "docker.authz/1.0", "other.thing/2"], "socket": "s.sock"},
    "network": {"type": "host"},
    "propagatedMount": "/data",
    "ipchost": True,
    "pidhost": True,
    "mounts": [
        {
            "name": "m",
            "source": "/s",
            "destination": "/d/deep",
            "type": "bind",
            "options": ["rbind"],
            "settable": ["source"],
        },
        {"destination": "/a", "type": "tmpfs", "source": "tmpfs"},
    ],
    "env": [{"name": "A", "value": "1", "settable": ["value"]}, {"name": "B", "settable": ["value"]}, {"name": "C"}],
    "args": {"name": "args", "value": ["x"], "settable": ["value"]},
    "linux": {
        "capabilities": ["CAP_SYS_ADMIN"],
        "allowAllDevices": True,
        "devices": [{"name": "dev", "path": "/dev/x"}],
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
}


def config(**changes):
    return read_config(json.dumps({**CONFIG, **changes}).encode())


def plugin(**changes):
    made = config(**changes)
    nothing = Descriptor(media_type="", digest="", size=0)
    return InstalledPlugin(
        id="f" * 64, name="p:latest", reference="", config=made, settings=initial_settings(made),
        manifest=nothing, config_blob=nothing, blobs=[], layers=[],
    )  # fmt: skip


def test_keys_in_any_case_come_back_as_docker_writes_them():
    once = encode_config(config())
    assert encode_config(read_config(json.dumps(once).encode())) == once
    assert (once["Entrypoint"], once["WorkDir"], once["IpcHost"]) == (["/driver"], "/w", True)
    assert once["Linux"]["Devices"] == [{"Description": "", "Name": "dev", "Path": "/dev/x", "Settable": None}]
    assert once["rootfs"] == {"diff_ids": ["sha256:1"], "type": "layers"}


def test_capabilities_are_dockers_only():
    assert capabilities(config()) == ["volumedriver", "authz"]


@pytest.mark.parametrize("bad", ["no json", "[]", '{"entrypoint": "x"}', '{"interface": {"types": ["nonsense"]}}'])
def test_configurations_that_are_none(bad):
    with pytest.raises(failures.InvalidConfig, match="^failed to parse config: "):
        read_config(bad.encode())


def test_privileges():
    assert [(p.name, p.value) for p in privileges(config())] == [
        ("network", ["host"]),
        ("host ipc namespace", ["true"]),
        ("host pid namespace", ["true"]),
        ("mount", ["/s"]),
        ("mount", ["tmpfs"]),
        ("device", ["/dev/x"]),
        ("allow-all-devices", ["true"]),
        ("capabilities", ["CAP_SYS_ADMIN"]),
    ]
    assert privileges(read_config(b"{}")) == []


def test_what_was_agreed_to_must_be_all_and_nothing_else():
    wanted = privileges(config())
    _require_agreed(config(), wanted[::-1])
    for agreed in ([], wanted[:-1], wanted[1:], [*wanted, wanted[0]], [*wanted, Privilege(name="mount", value=["/"])]):
        with pytest.raises(failures.WrongPrivileges):
            _require_agreed(config(), agreed)


def test_settings():
    made = plugin()
    assert (made.settings.env, made.settings.args) == (["A=1"], ["x"])
    settings = changed(made, ["A=2=3", "B.value=new", "m=/other", "args=y  z"])
    assert (settings.env, settings.args) == (["A=2=3", "B=new"], ["y", "z"])
    assert [m.source for m in settings.mounts] == ["/other", "tmpfs"]


@pytest.mark.parametrize(
    ("assignment", "error"),
    [
        ("C=1", failures.NotSettable),
        ("dev=/dev/y", failures.NotSettable),
        ("m.type=x", failures.NotSettable),
        ("nosuch=1", failures.UnknownSetting),
        ("=1", failures.InvalidAssignment),
        ("A.=1", failures.InvalidAssignment),
    ],
)
def test_what_cannot_be_set(assignment, error):
    with pytest.raises(error):
        changed(plugin(), [assignment])


def spec_of(made, **changes):
    request = {
        "rootfs": "/r",
        "sockets": "/run/s",
        "fifos": "/run/f",
        "propagated": "/p",
        "host": HostFacts(),
        "cgroup": "/docker/f",
    }
    return plugin_spec(PluginSpecRequest(plugin=made, **{**request, **changes}))


def test_spec():
    spec = spec_of(plugin())
    assert spec["process"]["args"] == ["/driver", "x"]
    assert spec["process"]["cwd"] == "/w"
    assert [e.partition("=")[0] for e in spec["process"]["env"]] == ["PATH", "A"]
    assert "CAP_SYS_ADMIN" in spec["process"]["capabilities"]["bounding"]
    assert {n["type"] for n in spec["linux"]["namespaces"]} == {"mount", "uts"}
    assert spec["linux"]["rootfsPropagation"] == "rshared"
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "seccomp" not in spec["linux"]
    own = {m["destination"]: (m["source"], m["options"]) for m in spec["mounts"]}
    assert own["/run/docker/plugins"] == ("/run/s", ["rbind", "rshared"])
    assert own["/data"] == ("/p", ["rbind", "rw", "rshared"])
    assert own["/etc/hosts"] == ("/etc/hosts", ["rbind", "ro"])
    order = [m["destination"] for m in spec["mounts"]]
    assert order.index("/a") < order.index("/d/deep")


def test_a_plugin_that_wants_nothing_gets_nothing():
    made = plugin(network={}, ipchost=False, pidhost=False, propagatedMount="", linux={}, mounts=[])
    spec = spec_of(made)
    assert {n["type"] for n in spec["linux"]["namespaces"]} == {"mount", "network", "uts", "pid", "ipc"}
    assert "rootfsPropagation" not in spec["linux"]
    assert not {"/etc/hosts", "/data"} & {m["destination"] for m in spec["mounts"]}


def test_a_mount_without_a_source_has_to_be_set_first():
    made = plugin(mounts=[{"name": "m", "destination": "/d", "type": "bind", "settable": ["source"]}])
    with pytest.raises(failures.MountSourceMissing):
        spec_of(made)


def test_paths_of_a_plugin_are_its_own(tmp_path):
    paths = PluginPaths(tmp_path, tmp_path / "run")
    assert paths.on_host("id", "/data", "/data/v/x") == f"{tmp_path}/propagated/id/v/x"
    assert paths.on_host("id", "/data/", "/data") == f"{tmp_path}/propagated/id"
    assert paths.on_host("id", "/data", "/database") == f"{tmp_path}/overlay/id/merged/database"
    assert paths.on_host("id", "", "/etc") == f"{tmp_path}/overlay/id/merged/etc"
    assert paths.on_host("id", "/data", "/data/../../../etc") == f"{tmp_path}/overlay/id/merged/etc"
    (tmp_path / "propagated/id").mkdir(parents=True)
    (tmp_path / "propagated/id/link").symlink_to("/etc")
    for path in ("/data/link", "/data/link/ssh"):
        with pytest.raises(failures.OutsidePlugin):
            paths.on_host("id", "/data", path)
