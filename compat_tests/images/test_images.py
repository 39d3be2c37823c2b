"""Images on the machine: list, inspect, tag, remove, history, load, save, import, prune."""

import io
import json
import tarfile
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, directory, file, tar
from compat_tests.clients.rawhttp import RawHttp

Load = Callable[[Image, str], None]


@pytest.fixture(autouse=True)
def no_images_left(engine: Daemon) -> Iterator[None]:
    yield
    engine.wipe()
    for image in engine.api.get("/images/json?all=1"):
        if "busybox:latest" not in image["RepoTags"]:
            engine.api.request("DELETE", f"/images/{image['Id']}?force=1")
        elif image["RepoTags"] != ["busybox:latest"]:
            for name in image["RepoTags"]:
                if name != "busybox:latest":
                    engine.api.request("DELETE", f"/images/{name}")


def small(name: str, **config: object) -> Image:
    return Image((Layer(tar([file(name, name.encode())])),), dict(config))


def test_list_and_inspect(cli: DockerCli, api: RawHttp, load: Load) -> None:
    image = small(
        "listed", Labels={"team": "blue"}, Cmd=["/listed"], Env=["A=1"], ExposedPorts={"80/tcp": {}}, Volumes={"/v": {}}
    )
    load(image, "listed:1")
    found = next(entry for entry in api.get("/images/json") if entry["RepoTags"] == ["listed:1"])
    assert found["Id"] == imagefiles.digest(image.manifest)
    assert found["Labels"] == {"team": "blue"}
    assert found["Created"] == 1714979289
    assert found["Size"] > 0
    shown = api.get("/images/listed:1/json")
    assert shown["Id"] == found["Id"]
    assert (shown["Os"], shown["Architecture"]) == ("linux", "amd64")
    assert shown["Config"]["Cmd"] == ["/listed"]
    assert shown["Config"]["Env"] == ["A=1"]
    assert shown["Config"]["Volumes"] == {"/v": {}}
    assert shown["RootFS"] == {"Type": "layers", "Layers": [imagefiles.digest(image.layers[0].tar)]}
    assert shown["Created"] == "2024-05-06T07:08:09Z"
    line = cli.ok("images", "--no-trunc", "--format", "{{.Repository}} {{.Tag}} {{.ID}}", "listed")
    assert line == f"listed 1 {found['Id']}"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"reference": ["alpha"]}, {"alpha:1", "alpha:2"}),
        ({"reference": ["alpha:2"]}, {"alpha:2"}),
        ({"reference": ["a*:1", "beta"]}, {"alpha:1", "beta:1"}),
        ({"label": ["kind"]}, {"alpha:1", "alpha:2", "beta:1"}),
        ({"label": ["kind=b"]}, {"beta:1"}),
        ({"dangling": ["true"]}, set()),
    ],
    ids=str,
)
def test_filters(api: RawHttp, load: Load, filters: dict[str, list[str]], expected: set[str]) -> None:
    load(small("one", Labels={"kind": "a"}), "alpha:1")
    load(small("two", Labels={"kind": "a"}), "alpha:2")
    load(small("three", Labels={"kind": "b"}), "beta:1")
    found = api.get("/images/json?filters=" + urllib.parse.quote(json.dumps(filters)))
    assert {name for image in found for name in image["RepoTags"]} == expected


def test_addressing(api: RawHttp, load: Load) -> None:
    image = small("addressed")
    load(image, "addressed:latest")
    key = imagefiles.digest(image.manifest)
    names = ("addressed", "addressed:latest", "docker.io/library/addressed:latest", key, key[7:], key[7:19], key[:19])
    for name in names:
        assert api.get(f"/images/{name}/json")["Id"] == key, name
    answer = api.request("GET", "/images/nosuch/json")
    assert (answer.status, answer.message) == (404, "No such image: nosuch:latest")


def test_tag(cli: DockerCli, api: RawHttp, load: Load) -> None:
    load(small("tagged"), "tagged:1")
    cli.ok("tag", "tagged:1", "127.0.0.1:5000/a/b:c")
    assert sorted(api.get("/images/tagged:1/json")["RepoTags"]) == ["127.0.0.1:5000/a/b:c", "tagged:1"]
    assert "No such image: nosuch:latest" in cli.fails("tag", "nosuch", "x:1")
    bad = api.post("/images/tagged:1/tag?repo=BAD&tag=1")
    assert bad.status == 400


def test_remove(cli: DockerCli, load: Load) -> None:
    image = small("removed")
    load(image, "removed:1")
    cli.ok("tag", "removed:1", "removed:2")
    key = imagefiles.digest(image.manifest)
    assert cli.ok("rmi", "removed:2") == "Untagged: removed:2"
    lines = cli.ok("rmi", "removed:1").splitlines()
    assert lines[0] == "Untagged: removed:1"
    assert f"Deleted: {key}" in lines
    assert cli.fails("rmi", "removed:1") == "Error response from daemon: No such image: removed:1"


def test_remove_by_id(cli: DockerCli, load: Load) -> None:
    image = small("by-id")
    load(image, "byid:1")
    cli.ok("tag", "byid:1", "other:1")
    key = imagefiles.digest(image.manifest)
    assert "must be forced" in cli.fails("rmi", key[7:19])
    out = cli.ok("rmi", "-f", key[7:19])
    assert "Untagged: byid:1" in out
    assert "Untagged: other:1" in out


def test_image_in_use(cli: DockerCli, api: RawHttp, load: Load) -> None:
    load(imagefiles.derived(Layer(tar([file("used", b"x")]))), "used:1")
    cli.ok("create", "--name", "user", "used:1")
    answer = api.request("DELETE", "/images/used:1")
    assert answer.status == 409
    assert "conflict: unable to" in answer.message
    cli.ok("start", "user")
    assert api.request("DELETE", "/images/used:1?force=0").status == 409
    cli.ok("rm", "-f", "user")
    cli.ok("rmi", "used:1")


def test_history(cli: DockerCli, api: RawHttp, load: Load) -> None:
    load(imagefiles.derived(Layer(tar([file("h", b"x" * 5000)]))), "history:1")
    found = api.get("/images/history:1/history")
    assert [entry["CreatedBy"] for entry in found] == ["layer 1", "layer 0"]
    assert found[0]["Tags"] == ["history:1"]
    assert found[0]["Created"] == 1714979289
    assert found[1]["Size"] > 500_000
    assert len(cli.ok("history", "history:1").splitlines()) == 3


def test_load_says_what_it_loaded(cli: DockerCli) -> None:
    data = imagefiles.archive(small("loaded"), "docker.io/library/loaded:1")
    assert cli.ok("load", stdin=data).splitlines()[-1] == "Loaded image: loaded:1"
    assert cli.ok("load", "-q", stdin=data) == "Loaded image: loaded:1"


def test_load_of_garbage(cli: DockerCli, api: RawHttp) -> None:
    result = cli.run("load", stdin=b"this is no tar archive" * 100)
    assert result.code == 1
    assert result.err


def test_save_and_load_again(cli: DockerCli, load: Load) -> None:
    image = imagefiles.derived(Layer(tar([directory("opt"), file("opt/saved", b"saved")])), Labels={"a": "b"})
    load(image, "saved:1")
    cli.ok("tag", "saved:1", "saved:2")
    data = cli_bytes(cli, "save", "saved:1", "saved:2")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        member = archive.extractfile("manifest.json")
        assert member is not None
        manifest = json.loads(member.read())
    assert "oci-layout" in names
    assert "index.json" in names
    tags = sorted(tag for entry in manifest for tag in entry["RepoTags"])
    assert tags == ["saved:1", "saved:2"]
    cli.ok("rmi", "saved:1", "saved:2")
    cli.ok("load", stdin=data)
    assert cli.ok("inspect", "-f", "{{.Id}}", "saved:2") == imagefiles.digest(image.manifest)
    assert cli.ok("run", "--rm", "saved:1", "cat", "/opt/saved") == "saved"


def cli_bytes(cli: DockerCli, *arguments: str) -> bytes:
    with cli.spawn(*arguments) as process:
        out, err = process.communicate()
        assert process.returncode == 0, err
        return out


def test_save_of_what_is_not_there(cli: DockerCli, tmp_path: object) -> None:
    assert "No such image: nosuch" in cli.fails("save", "-o", f"{tmp_path}/x.tar", "nosuch")


def test_import(cli: DockerCli, api: RawHttp) -> None:
    data = imagefiles.busybox().layers[0].tar
    printed = cli.ok(
        "import", "-m", "by hand", "-c", 'CMD ["echo", "imported"]', "-c", "ENV A=b", "-", "imported:1", stdin=data
    )
    shown = api.get("/images/imported:1/json")
    assert printed == shown["Id"]
    assert shown["Comment"] == "by hand"
    assert shown["Config"]["Env"] == ["A=b"]
    assert cli.ok("run", "--rm", "imported:1") == "imported"


def test_prune(cli: DockerCli, api: RawHttp, load: Load) -> None:
    first, second = small("first"), small("second")
    load(first, "moving:1")
    load(second, "moving:1")
    load(small("kept"), "kept:1")
    dangling = [image for image in api.get("/images/json") if not image["RepoTags"]]
    assert [image["Id"] for image in dangling] == [imagefiles.digest(first.manifest)]
    assert cli.ok("images", "-f", "dangling=true", "-q", "--no-trunc") == imagefiles.digest(first.manifest)
    answer = api.post("/images/prune").json()
    assert {"Deleted": imagefiles.digest(first.manifest)} in answer["ImagesDeleted"]
    assert answer["SpaceReclaimed"] > 0
    assert api.get("/images/kept:1/json")
    every = api.post("/images/prune?filters=" + urllib.parse.quote('{"dangling":["false"],"label":["nosuch"]}')).json()
    assert not every["ImagesDeleted"]


def test_events(api: RawHttp, cli: DockerCli, load: Load) -> None:
    began = api.get("/info")["SystemTime"]
    load(small("evented"), "evented:1")
    cli.ok("tag", "evented:1", "evented:2")
    cli.ok("rmi", "evented:2", "evented:1")
    until = api.get("/info")["SystemTime"]
    out = cli.ok("events", "--since", began, "--until", until, "--filter", "type=image", "--format", "{{.Action}}")
    assert [action for action in out.split() if action in ("load", "tag", "untag", "delete")] == [
        "load",
        "tag",
        "untag",
        "untag",
        "delete",
    ]
