"""What devices change in an OCI configuration."""

from engine.core.model.cdi import CdiMount, ContainerEdits, DeviceNode, Hook
from engine.domain.containers.spec.edits import edited

SPEC = {
    "process": {"env": ["PATH=/bin", "A=own"], "user": {"uid": 0, "gid": 0, "additionalGids": [5]}},
    "linux": {"resources": {"devices": [{"allow": False, "access": "rwm"}]}},
    "mounts": [{"destination": "/a/b", "type": "bind", "source": "/x", "options": []}],
}


def test_variables_and_groups():
    process = edited(SPEC, ContainerEdits(env=["A=device", "B=2"], additional_gids=[0, 5, 6]))["process"]
    assert process["env"] == ["PATH=/bin", "A=device", "B=2"]
    assert process["user"]["additionalGids"] == [5, 6]
    assert SPEC["process"]["user"]["additionalGids"] == [5]


def test_nodes_bring_their_rule():
    node = DeviceNode(path="/dev/x", type="c", major=1, minor=2, permissions="r", file_mode=0o600)
    linux = edited(SPEC, ContainerEdits(device_nodes=[node]))["linux"]
    assert linux["devices"] == [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2, "fileMode": 0o600}]
    assert linux["resources"]["devices"][-1] == {"allow": True, "type": "c", "major": 1, "minor": 2, "access": "r"}


def test_mounts_replace_and_keep_their_order():
    wanted = [
        CdiMount(host_path="/y", container_path="/a/b", options=["ro"]),
        CdiMount(host_path="/z", container_path="/a"),
    ]
    mounts = edited(SPEC, ContainerEdits(mounts=wanted))["mounts"]
    assert [(m["destination"], m["source"]) for m in mounts] == [("/a", "/z"), ("/a/b", "/y")]


def test_hooks_of_one_moment_come_together():
    spec = edited(SPEC, ContainerEdits(hooks=[Hook(hook_name="prestart", path="/one")]))
    spec = edited(spec, ContainerEdits(hooks=[Hook(hook_name="prestart", path="/two", timeout=3)]))
    assert spec["hooks"] == {"prestart": [{"path": "/one"}, {"path": "/two", "timeout": 3}]}
