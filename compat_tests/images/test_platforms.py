"""Images of several platforms: listed, inspected, saved, loaded, deleted, pushed and pulled by platform."""

import io
import json
import tarfile
import urllib.parse
from typing import Any

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.imagefiles import Image, Index, Layer, file, tar
from compat_tests.clients.rawhttp import Answer, RawHttp
from compat_tests.clients.registry import Registry

AMD64 = imagefiles.derived(Layer(tar([file("amd", b"a")])))
ARM64 = Image((Layer(tar([file("arm", b"b")])),), {"Cmd": ["/arm"]}, architecture="arm64")
INDEX = Index((AMD64, ARM64))
KEY, AMD_KEY, ARM_KEY = (imagefiles.digest(made.manifest) for made in (INDEX, AMD64, ARM64))
ARCHIVE = imagefiles.archive(INDEX, "docker.io/library/multi:1")


def platform(architecture: str, system: str = "linux", **more: str) -> str:
    return urllib.parse.quote(json.dumps({"os": system, "architecture": architecture, **more}))


ARM, AMD, S390 = platform("arm64"), platform("amd64"), platform("s390x")


def load(api: RawHttp, archive: bytes = ARCHIVE, query: str = "", version: str = "") -> Answer:
    return api.request("POST", f"{version}/images/load?quiet=1{query}", archive)


@pytest.fixture
def multi(api: RawHttp) -> None:
    assert load(api).json() == {"stream": "Loaded image: multi:1\n"}


def manifests(api: RawHttp, name: str = "multi:1") -> dict[str, dict[str, Any]]:
    """By digest."""
    return {m["ID"]: m for m in api.get(f"/images/{name}/json?manifests=1")["Manifests"]}


@pytest.mark.usefixtures("multi")
def test_manifests(api: RawHttp) -> None:
    found = next(i for i in api.get("/images/json?manifests=1") if i["Id"] == KEY)
    ours, other = found["Manifests"]
    assert found["Manifests"] == api.get("/images/multi:1/json?manifests=1")["Manifests"]
    assert (ours["ID"], ours["Kind"], ours["Available"]) == (AMD_KEY, "image", True)
    assert (other["ID"], other["Kind"], other["Available"]) == (ARM_KEY, "image", True)
    assert ours["Descriptor"]["platform"] == ours["ImageData"]["Platform"] == {"architecture": "amd64", "os": "linux"}
    assert ours["ImageData"]["Size"]["Unpacked"] > 500_000
    assert ours["Size"]["Total"] == ours["Size"]["Content"] + ours["ImageData"]["Size"]["Unpacked"]
    # What is not for this host is not unpacked before somebody needs it.
    assert other["ImageData"]["Size"]["Unpacked"] == 0
    assert found["Size"] == ours["Size"]["Total"] + other["Size"]["Total"]
    assert "Manifests" not in api.get("/images/multi:1/json")
    assert "Manifests" not in next(i for i in api.get("/v1.46/images/json?manifests=1") if i["Id"] == KEY)
    assert "Manifests" not in api.get("/v1.47/images/multi:1/json?manifests=1")


@pytest.mark.usefixtures("multi")
def test_containers_of_each_platform(api: RawHttp) -> None:
    ids = [
        api.post(f"/containers/create?platform=linux/{name}", {"Image": "multi:1", "Cmd": ["x"]}).json()["Id"]
        for name in ("amd64", "arm64")
    ]
    found = manifests(api)
    assert [found[key]["ImageData"]["Containers"] for key in (AMD_KEY, ARM_KEY)] == [[ids[0]], [ids[1]]]
    assert next(i for i in api.get("/images/json") if i["Id"] == KEY)["Containers"] == 2
    assert found[ARM_KEY]["ImageData"]["Size"]["Unpacked"] > 0


@pytest.mark.usefixtures("multi")
def test_inspect_and_history_of_a_platform(api: RawHttp) -> None:
    shown = api.get(f"/images/multi:1/json?platform={ARM}")
    assert (shown["Id"], shown["Architecture"], shown["Descriptor"]["digest"]) == (ARM_KEY, "arm64", ARM_KEY)
    assert api.get(f"/images/multi:1/json?platform={platform('arm64', variant='v8')}")["Id"] == ARM_KEY
    assert api.get(f"/v1.48/images/multi:1/json?platform={ARM}")["Id"] == KEY
    assert len(api.get(f"/images/multi:1/history?platform={ARM}")) == 1
    assert len(api.get(f"/images/multi:1/history?platform={AMD}")) == 2
    assert len(api.get(f"/v1.47/images/multi:1/history?platform={ARM}")) == 2


MISSING = "image with reference multi:1 was found but does not provide the specified platform (linux/s390x)"


@pytest.mark.usefixtures("multi")
@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (f"platform={S390}", 404, MISSING),
        (
            "platform=linux/arm64",
            400,
            "failed to parse platform: invalid character 'l' looking for beginning of value",
        ),
        (
            'platform={"os":1}',
            400,
            "failed to parse platform: json: cannot unmarshal number into Go struct field Platform.os of type string",
        ),
        (
            "platform=[]",
            400,
            "failed to parse platform: json: cannot unmarshal array into Go value of type v1.Platform",
        ),
        ("platform={}", 400, "both OS and Architecture must be provided"),
        ('platform={"os":"linux"}', 400, "both OS and Architecture must be provided"),
        (
            f"manifests=1&platform={ARM}",
            400,
            "conflicting options: manifests and platform options cannot both be set",
        ),
    ],
)
def test_platforms_that_cannot_be(api: RawHttp, query: str, status: int, message: str) -> None:
    answer = api.request("GET", f"/images/multi:1/json?{query}")
    assert (answer.status, answer.message) == (status, message)


def saved(api: RawHttp, query: str) -> tuple[set[str], dict[str, Any], list[dict[str, Any]]]:
    """The blobs by digest, `index.json`, `manifest.json`."""
    answer = api.request("GET", f"/images/{query}")
    assert answer.status == 200, answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        blobs = {f"sha256:{name[13:]}" for name in archive.getnames() if len(name) == 77}
        documents = [json.load(archive.extractfile(name) or io.BytesIO()) for name in ("index.json", "manifest.json")]
    return blobs, documents[0], documents[1]


@pytest.mark.usefixtures("multi")
@pytest.mark.parametrize("query", [f"multi:1/get?platform={ARM}", f"get?names=multi:1&platform={ARM}"])
def test_save_of_one_platform(api: RawHttp, query: str) -> None:
    blobs, index, old = saved(api, query)
    assert blobs == {ARM_KEY, *ARM64.blobs}
    entry = index["manifests"][0]
    assert (entry["digest"], entry["platform"]) == (ARM_KEY, {"architecture": "arm64", "os": "linux"})
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/multi:1"
    assert [one["RepoTags"] for one in old] == [["multi:1"]]


@pytest.mark.usefixtures("multi")
def test_save_of_all_platforms(api: RawHttp) -> None:
    blobs, index, old = saved(api, "multi:1/get")
    assert blobs == {KEY, AMD_KEY, ARM_KEY, *INDEX.blobs}
    assert index["manifests"][0]["digest"] == KEY
    assert len(old) == 1
    assert saved(api, f"../v1.47/images/multi:1/get?platform={ARM}".removeprefix("../v1.47/images/"))[0] != blobs


@pytest.mark.usefixtures("multi")
@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (f"platform={S390}", 404, f"no suitable export target found: {MISSING}"),
        (f"platform={ARM}&platform={AMD}", 400, "multiple platform parameters not supported"),
        (
            "platform=bogus",
            400,
            "failed to parse platform: invalid character 'b' looking for beginning of value",
        ),
    ],
)
def test_save_of_what_is_not_there(api: RawHttp, query: str, status: int, message: str) -> None:
    answer = api.request("GET", f"/images/multi:1/get?{query}")
    assert (answer.status, answer.message) == (status, message)
    assert api.request("GET", f"/v1.47/images/multi:1/get?{query}").status == 200


def test_a_platform_that_was_saved_alone(api: RawHttp, multi: None) -> None:
    archive = api.request("GET", f"/images/multi:1/get?platform={ARM}").body
    assert api.request("DELETE", "/images/multi:1").status == 200
    assert load(api, archive).json() == {"stream": "Loaded image: multi:1\n"}
    shown = api.get("/images/multi:1/json")
    assert (shown["Id"], shown["Architecture"]) == (ARM_KEY, "arm64")
    warning = api.post("/containers/create", {"Image": "multi:1"}).json()["Warnings"]
    assert len(warning) == 1
    assert warning[0].startswith(
        "The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64"
    )
    assert warning[0].endswith(") and no specific platform was requested")
    assert api.post("/containers/create?platform=linux/arm64", {"Image": "multi:1"}).json()["Warnings"] == []


def test_load_unpacks_the_platform_that_is_asked_for(api: RawHttp) -> None:
    assert load(api, query=f"&platform={ARM}").json() == {"stream": "Loaded image: multi:1\n"}
    found = manifests(api)
    assert found[ARM_KEY]["ImageData"]["Size"]["Unpacked"] > 0
    assert found[AMD_KEY]["ImageData"]["Size"]["Unpacked"] == 0


def test_load_of_a_platform_that_is_not_there(api: RawHttp) -> None:
    text = "image multi:1 was loaded, but doesn't provide the requested platform (linux/s390x)"
    assert load(api, query=f"&platform={S390}").json() == {"errorDetail": {"message": text}, "error": text}
    assert set(manifests(api)) == {AMD_KEY, ARM_KEY}
    assert load(api, query=f"&platform={S390}", version="/v1.47").json() == {"stream": "Loaded image: multi:1\n"}
    answer = load(api, b"", f"&platform={ARM}&platform={AMD}")
    assert (answer.status, answer.message) == (400, "multiple platform parameters not supported")
    answer = load(api, b"", "&platform=bogus")
    assert (answer.status, answer.message[:58]) == (400, "failed to parse platform: invalid character 'b' looking fo")


def delete(api: RawHttp, *platforms: str, force: int = 1) -> Answer:
    query = "&".join(f"platforms={p}" for p in platforms)
    return api.request("DELETE", f"/images/multi:1?force={force}&{query}")


@pytest.mark.usefixtures("multi")
def test_delete_of_a_platform(api: RawHttp) -> None:
    answer = delete(api, ARM, force=0)
    text = "Content will be removed from all images referencing this variant. Use \u2014-force to force delete."
    assert (answer.status, answer.message) == (400, text)
    assert delete(api, ARM).json() == [{"Deleted": ARM_KEY}]
    found = manifests(api)
    assert {key: one["Available"] for key, one in found.items()} == {AMD_KEY: True, ARM_KEY: False}
    assert found[ARM_KEY]["Size"] == {"Content": 0, "Total": 0}
    missing = f"failed to delete platform linux/arm64 for image {KEY}: "
    missing += "image with reference multi:1 was found but does not provide any platform"
    again = delete(api, ARM)
    assert (again.status, again.message) == (404, missing)
    answer = api.post("/containers/create?platform=linux/arm64", {"Image": "multi:1"})
    assert (answer.status, answer.message) == (404, MISSING.replace("s390x", "arm64"))
    assert load(api).status == 200
    assert manifests(api)[ARM_KEY]["Available"]


def test_delete_of_all_platforms(api: RawHttp) -> None:
    small = Index((Image((Layer(tar([file("amd", b"a")])),), {"Cmd": ["x"]}), ARM64))
    assert load(api, imagefiles.archive(small, "docker.io/library/multi:1")).status == 200
    amd = imagefiles.digest(small.images[0].manifest)
    assert delete(api, ARM, AMD).json() == [{"Deleted": ARM_KEY}, {"Deleted": amd}]
    nothing = "image with reference multi:1 was found but does not provide any platform"
    for method, path in (
        ("GET", "/images/multi:1/history"),
        ("POST", "/containers/create"),
        ("POST", "/images/multi:1/tag?repo=z&tag=1"),
    ):
        answer = api.request(method, path, {"Image": "multi:1"} if path == "/containers/create" else None)
        assert (answer.status, answer.message) == (404, nothing)
    answer = api.request("GET", "/images/multi:1/get")
    assert answer.status == 404
    assert answer.message == f"unable to create manifests file: NotFound: content digest {amd}: not found"
    shown = api.get("/images/multi:1/json")
    assert (shown["Id"], shown["Architecture"]) == (imagefiles.digest(small.manifest), "")
    assert next(i for i in api.get("/images/json") if i["RepoTags"] == ["multi:1"])["Size"] == 0
    removed = api.request("DELETE", "/images/multi:1").json()
    assert removed == [{"Untagged": "multi:1"}, {"Deleted": imagefiles.digest(small.manifest)}]


@pytest.mark.wharfd_only("dockerd removes what other images need, this run's busybox among them")
@pytest.mark.usefixtures("multi")
def test_delete_of_a_platform_spares_what_others_need(api: RawHttp, cli: DockerCli) -> None:
    load(api, imagefiles.archive(AMD64, "docker.io/library/single:1"))
    container = api.post("/containers/create", {"Image": "multi:1", "Cmd": ["cat", "/amd"]}).json()["Id"]
    assert delete(api, AMD).json() == [{"Deleted": AMD_KEY}]
    assert cli.ok("run", "--rm", "single:1", "cat", "/amd") == "a"
    assert cli.ok("start", "-a", container) == "a"
    assert cli.ok("run", "--rm", "busybox", "echo", "there") == "there"


def variants(*names: str) -> bytes:
    """An archive with an image for each variant of amd64; the variant is the image's command."""
    images = [Image((Layer(tar([file(name or "base", b"x")])),), {"Cmd": [name or "base"]}) for name in names]
    entries = [
        {
            "mediaType": image.media_type,
            "digest": imagefiles.digest(image.manifest),
            "size": len(image.manifest),
            "platform": {"os": "linux", "architecture": "amd64", **({"variant": name} if name else {})},
        }
        for name, image in zip(names, images, strict=True)
    ]
    top = json.dumps({"schemaVersion": 2, "mediaType": imagefiles.OCI_INDEX, "manifests": entries}).encode()
    blobs = {imagefiles.digest(top): top}
    for image in images:
        blobs |= {**image.blobs, imagefiles.digest(image.manifest): image.manifest}
    descriptor = {
        "mediaType": imagefiles.OCI_INDEX,
        "digest": imagefiles.digest(top),
        "size": len(top),
        "annotations": {"io.containerd.image.name": "docker.io/library/variants:1"},
    }
    files = [file(f"blobs/sha256/{key[7:]}", data) for key, data in blobs.items()]
    files.append(file("index.json", json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()))
    return tar([*files, file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')])


@pytest.mark.parametrize("names", [("", "v2", "v3"), ("v3", "v2", ""), ("v2", "v3", "v4", "")])
def test_the_plain_variant_is_this_hosts(api: RawHttp, names: tuple[str, ...]) -> None:
    load(api, variants(*names))
    assert api.get("/images/variants:1/json")["Config"]["Cmd"] == ["base"]


@pytest.mark.cli_since("28.0")
@pytest.mark.usefixtures("multi")
def test_push_of_a_platform(cli: DockerCli, api: RawHttp, registry: Registry) -> None:
    name = f"{registry.address}/platforms/push"
    for tag in ("all", "arm"):
        cli.ok("tag", "multi:1", f"{name}:{tag}")
    assert f"all: digest: {KEY} size: {len(INDEX.manifest)}" in cli.ok("push", f"{name}:all")
    assert f"arm: digest: {ARM_KEY} size: {len(ARM64.manifest)}" in cli.ok(
        "push", "--platform", "linux/arm64", f"{name}:arm"
    )
    assert [p["architecture"] for p in api.get(f"/distribution/{name}:all/json")["Platforms"]] == ["amd64", "arm64"]
    assert api.get(f"/distribution/{name}:arm/json")["Descriptor"]["digest"] == ARM_KEY
