"""`load`, `save` and `import`: compressed, damaged, of several images; changes of an import; what a list shows."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, directory, file, tar
from compat_tests.clients.rawhttp import Answer, RawHttp
from compat_tests.clients.registry import Registry, StubRegistry

Load = Callable[[Image, str], None]


def small(name: str, **config: Any) -> Image:
    return Image((Layer(tar([file(name, name.encode())])),), {"Cmd": [f"/{name}"], **config})


IMAGE = small("archived")
PLAIN = imagefiles.archive(IMAGE, "docker.io/library/archived:1")
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "gzip in two parts": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "gzip and rubbish": lambda data: gzip.compress(data) + b"rubbish",
    "plain and rubbish": lambda data: data + b"rubbish" * 100,
    "plain, the last block not full": lambda data: data.rstrip(b"\0"),
}
BROKEN = {
    "nothing": b"",
    "zeros": bytes(10240),
    "text": b"this is no tar archive" * 100,
    "a few bytes": b"abc",
    "gzip cut short": gzip.compress(PLAIN)[:-600],
    "gzip twice": gzip.compress(gzip.compress(PLAIN)),
    "cut short": PLAIN[:3000],
}


def load(api: RawHttp, data: bytes) -> list[dict[str, Any]]:
    answer = api.request("POST", "/images/load?quiet=1", data)
    assert answer.status == 200
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize("compression", list(COMPRESSIONS))
def test_load_of_compressed_archives(api: RawHttp, compression: str) -> None:
    assert load(api, COMPRESSIONS[compression](PLAIN)) == [{"stream": "Loaded image: archived:1\n"}]
    assert api.get("/images/archived:1/json")["Id"] == imagefiles.digest(IMAGE.manifest)


@pytest.mark.parametrize("case", list(BROKEN))
def test_load_of_broken_archives(api: RawHttp, case: str) -> None:
    error = load(api, BROKEN[case])[-1]
    assert error["error"] == error["errorDetail"]["message"]
    assert "Errno" not in error["error"]
    assert api.request("GET", "/images/archived:1/json").status == 404


def saved(api: RawHttp, *names: str) -> dict[str, bytes]:
    """The files of the archive."""
    query = "&".join(f"names={urllib.parse.quote(name)}" for name in names)
    answer = api.request("GET", f"/images/get?{query}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def test_save_of_several_images(api: RawHttp, load: Load) -> None:
    other = small("other")
    load(IMAGE, "archived:1")
    load(other, "other:1")
    for name in ("archived:2", "x/y:z"):
        repository, _, tag = name.rpartition(":")
        api.post(f"/images/archived:1/tag?repo={repository}&tag={tag}")
    files = saved(api, "archived", "other:1", "x/y:z", imagefiles.digest(other.manifest))
    index = json.loads(files["index.json"])
    named = {
        (entry["digest"], entry.get("annotations", {}).get("io.containerd.image.name")) for entry in index["manifests"]
    }
    key, other_key = imagefiles.digest(IMAGE.manifest), imagefiles.digest(other.manifest)
    assert {
        (key, "docker.io/library/archived:1"),
        (key, "docker.io/library/archived:2"),
        (key, "docker.io/x/y:z"),
        (other_key, "docker.io/library/other:1"),
    } <= named
    old = {entry["Config"]: sorted(entry["RepoTags"] or []) for entry in json.loads(files["manifest.json"])}
    assert old == {
        f"blobs/sha256/{imagefiles.digest(IMAGE.configuration)[7:]}": ["archived:1", "archived:2", "x/y:z"],
        f"blobs/sha256/{imagefiles.digest(other.configuration)[7:]}": ["other:1"],
    }
    for one in (IMAGE, other):
        for digest, data in {**one.blobs, imagefiles.digest(one.manifest): one.manifest}.items():
            assert files[f"blobs/sha256/{digest[7:]}"] == data


def test_what_was_pulled_is_what_is_saved(api: RawHttp, stub_registry: StubRegistry) -> None:
    """Byte for byte, whatever packed it."""
    for number, compression in enumerate(("gzip", "zstd", "none")):
        image = Image((Layer(tar([file(compression, b"x" * 1000)]), compression),), {"Cmd": [compression]})
        name = stub_registry.add(image, f"bytes/{compression}", str(number))
        api.post(f"/images/create?fromImage={urllib.parse.quote(name, safe='')}")
        files = saved(api, name)
        for digest, data in {**image.blobs, imagefiles.digest(image.manifest): image.manifest}.items():
            assert files[f"blobs/sha256/{digest[7:]}"] == data


def test_load_of_an_image_without_a_name(api: RawHttp, cli: DockerCli) -> None:
    files = [file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')]
    descriptor = {
        "mediaType": IMAGE.media_type,
        "digest": imagefiles.digest(IMAGE.manifest),
        "size": len(IMAGE.manifest),
    }
    files.append(file("index.json", json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()))
    blobs = {**IMAGE.blobs, imagefiles.digest(IMAGE.manifest): IMAGE.manifest}
    files += [directory("blobs"), directory("blobs/sha256")]
    files += [file(f"blobs/sha256/{digest[7:]}", data) for digest, data in blobs.items()]
    key = imagefiles.digest(IMAGE.manifest)
    assert cli.ok("load", stdin=tar(files)) == f"Loaded image ID: {key}"
    assert api.get(f"/images/{key}/json")["RepoTags"] == []


def test_load_of_the_older_form(api: RawHttp, cli: DockerCli) -> None:
    """As docker before 25 and `skopeo copy docker-archive:` write it: layers as plain archives."""
    layer = tar([file("old", b"old")])
    configuration = Image((Layer(layer, "none"),), {"Cmd": ["/old"]}).configuration
    name = imagefiles.digest(configuration)[7:] + ".json"
    manifest = [{"Config": name, "RepoTags": ["old:1", "old:2"], "Layers": ["abc/layer.tar"]}]
    entries = [directory("abc"), file("abc/layer.tar", layer), file(name, configuration)]
    archive = tar([*entries, file("manifest.json", json.dumps(manifest).encode())])
    assert cli.ok("load", stdin=archive).splitlines() == ["Loaded image: old:1", "Loaded image: old:2"]
    shown = api.get("/images/old:1/json")
    assert sorted(shown["RepoTags"]) == ["old:1", "old:2"]
    assert shown["RootFS"]["Layers"] == [imagefiles.digest(layer)]


def imported(api: RawHttp, data: bytes, **options: Any) -> Answer:
    query = urllib.parse.urlencode({"fromSrc": "-", "repo": "imported", "tag": "1", **options}, doseq=True)
    return api.request("POST", f"/images/create?{query}", data)


TREE = tar([file("f", b"x")])


@pytest.mark.parametrize("compression", ["plain", "gzip", "xz", "bzip2", "zstd"])
def test_import_of_compressed_archives(api: RawHttp, compression: str) -> None:
    answer = imported(api, COMPRESSIONS[compression](TREE))
    shown = api.get("/images/imported:1/json")
    assert answer.json() == {"status": shown["Id"]}
    assert (shown["Comment"], shown["Os"], shown["Architecture"]) == ("Imported from -", "linux", "amd64")
    assert shown["RootFS"]["Layers"] == [imagefiles.digest(TREE)]
    assert [(step["CreatedBy"], step["Comment"]) for step in api.get("/images/imported:1/history")] == [
        ("", "Imported from -")
    ]


def test_import_of_rubbish(api: RawHttp, engine: Daemon) -> None:
    answer = imported(api, b"this is no tar archive" * 100)
    assert answer.status == 500
    assert "invalid tar header" in answer.message
    if engine.kind == "wharfd":  # dockerd keeps what it could not unpack
        assert api.request("GET", "/images/imported:1/json").status == 404


CHANGES: dict[str, dict[str, Any]] = {
    'CMD ["a","b"]': {"Cmd": ["a", "b"]},
    'cmd ["low"]': {"Cmd": ["low"]},
    "CMD a b": {"Cmd": ["/bin/sh", "-c", "a b"]},
    "CMD [bad": {"Cmd": ["/bin/sh", "-c", "[bad"]},
    'ENTRYPOINT ["e"]': {"Entrypoint": ["e"]},
    "ENTRYPOINT e f": {"Entrypoint": ["/bin/sh", "-c", "e f"]},
    'ENV A=1 B="x y"': {"Env": ["A=1", "B=x y"]},
    "ENV A 1 2": {"Env": ["A=1 2"]},
    "ENV A=1\nENV B=2": {"Env": ["A=1", "B=2"]},
    "EXPOSE 80 81/udp 90-91": {"ExposedPorts": {"80/tcp": {}, "81/udp": {}, "90/tcp": {}, "91/tcp": {}}},
    "USER u:g": {"User": "u:g"},
    "WORKDIR rel": {"WorkingDir": "/rel"},
    'VOLUME ["/a","/b"]': {"Volumes": {"/a": {}, "/b": {}}},
    'LABEL a=b "c d"=e': {"Labels": {"a": "b", "c d": "e"}},
    "LABEL a=1 \\\n b=2": {"Labels": {"a": "1", "b": "2"}},
    "ONBUILD RUN x": {"OnBuild": ["RUN x"]},
    "STOPSIGNAL SIGKILL": {"StopSignal": "SIGKILL"},
    "STOPSIGNAL 99": {"StopSignal": "99"},
    "HEALTHCHECK NONE": {"Healthcheck": {"Test": ["NONE"]}},
    'HEALTHCHECK --interval=5s --retries=3 CMD ["x"]': {
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000_000, "Retries": 3}
    },
}
REFUSED_CHANGES = {
    "ENV A": "ENV must have two arguments",
    "ENV =x": "ENV names can not be blank",
    "LABEL x": "LABEL must have two arguments",
    "EXPOSE x": "Invalid containerPort: x",
    "EXPOSE 70000": "Invalid containerPort: 70000",
    "EXPOSE 80/x": "Invalid proto: x",
    "VOLUME": "VOLUME requires at least one argument",
    "USER": "USER requires exactly one argument",
    "WORKDIR": "WORKDIR requires exactly one argument",
    "ONBUILD FROM x": "FROM isn't allowed as an ONBUILD trigger",
    "STOPSIGNAL bogus": "invalid signal: bogus",
    "HEALTHCHECK bogus": 'Unknown type "BOGUS" in HEALTHCHECK (try CMD)',
    'SHELL ["s"]': "SHELL is not a valid change command",
    "RUN x": "RUN is not a valid change command",
    "bogus x": "bogus is not a valid change command",
    "# a comment": "file with no instructions",
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_import_with_a_change(api: RawHttp, change: str) -> None:
    assert imported(api, TREE, changes=change).status == 200
    config = api.get("/images/imported:1/json")["Config"]
    assert {key: value for key, value in config.items() if value} == CHANGES[change]


@pytest.mark.parametrize("change", list(REFUSED_CHANGES))
def test_import_with_a_change_that_cannot_be(api: RawHttp, change: str) -> None:
    answer = imported(api, TREE, changes=change)
    assert (answer.status, answer.message) == (400, REFUSED_CHANGES[change])
    assert api.request("GET", "/images/imported:1/json").status == 404


def test_import_for_a_platform_with_a_message(api: RawHttp) -> None:
    assert imported(api, TREE, platform="linux/arm64", message="by hand").status == 200
    shown = api.get("/images/imported:1/json")
    assert (shown["Architecture"], shown["Comment"]) == ("arm64", "by hand")


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"platform": "a/b/c/d"}, 400, '"a/b/c/d": cannot parse platform specifier: invalid argument'),
        ({"repo": "BAD"}, 400, "invalid reference format: repository name (library/BAD) must be lowercase"),
        ({"tag": "BAD!"}, 400, "invalid tag format"),
        ({"repo": f"x@sha256:{'0' * 64}", "tag": ""}, 400, "cannot import digest reference"),
        (
            {"fromSrc": "http://127.0.0.1:1/x.tar"},
            500,
            'Get "http://127.0.0.1:1/x.tar": dial tcp 127.0.0.1:1: connect: connection refused',
        ),
        (
            {"fromSrc": "127.0.0.1:1/x.tar"},
            500,
            'Get "http://127.0.0.1:1/x.tar": dial tcp 127.0.0.1:1: connect: connection refused',
        ),
        ({"fromSrc": "ftp://127.0.0.1/x"}, 500, 'Get "ftp://127.0.0.1/x": unsupported protocol scheme "ftp"'),
    ],
)
def test_imports_that_cannot_be(api: RawHttp, options: dict[str, str], status: int, message: str) -> None:
    answer = imported(api, TREE, **options)
    assert (answer.status, answer.message) == (status, message)


def listed(api: RawHttp, **filters: list[str]) -> list[str]:
    found = api.get("/images/json?filters=" + urllib.parse.quote(json.dumps(filters)))
    return sorted(name for image in found for name in image["RepoTags"] or ["<none>"])


def test_filters_of_lists(api: RawHttp, load: Load) -> None:
    for tag, labels in (("1", {"kind": "a", "x": ""}), ("2", {"kind": "b"})):
        load(small(tag, Labels=labels), f"first:{tag}")
        assert api.post(f"/images/first:{tag}/tag?repo=team/alpha&tag={tag}").status == 201
        assert api.request("DELETE", f"/images/first:{tag}").status == 200
    load(small("three"), "beta:1")
    three = ["beta:1", "busybox:latest", "team/alpha:1", "team/alpha:2"]
    assert listed(api) == three
    assert listed(api, reference=["team/alpha"]) == ["team/alpha:1", "team/alpha:2"]
    assert listed(api, reference=["*/*"]) == ["team/alpha:1", "team/alpha:2"]
    assert listed(api, reference=["team/*:1", "beta"]) == ["beta:1", "team/alpha:1"]
    assert listed(api, reference=["*"]) == ["beta:1", "busybox:latest"]
    assert listed(api, reference=["["]) == []
    assert listed(api, label=["kind"]) == ["team/alpha:1", "team/alpha:2"]
    assert listed(api, label=["kind=a", "x"]) == ["team/alpha:1"]
    assert listed(api, label=["kind=a", "kind=b"]) == []
    assert listed(api, **{"label!": ["kind"]}) == ["beta:1", "busybox:latest"]
    assert listed(api, dangling=["false"]) == three
    assert listed(api, dangling=["true"]) == []
    assert listed(api, until=["24h"]) == []
    assert listed(api, until=["4102444800"]) == three
    assert listed(api, before=["busybox"]) == listed(api, since=["busybox"]) == []  # all of one second


@pytest.mark.parametrize(
    ("filters", "status", "message"),
    [
        ({"bogus": ["1"]}, 400, "invalid filter 'bogus'"),
        ({"dangling": ["maybe"]}, 400, "invalid filter 'dangling=[maybe]'"),
        ({"until": ["x"]}, 500, 'failed to parse value as time or duration: "x"'),
        ({"before": ["nosuch"]}, 404, "No such image: nosuch:latest"),
        ({"since": ["nosuch:1"]}, 404, "No such image: nosuch:1"),
    ],
)
def test_filters_that_make_no_sense(api: RawHttp, filters: dict[str, list[str]], status: int, message: str) -> None:
    answer = api.request("GET", "/images/json?filters=" + urllib.parse.quote(json.dumps(filters)))
    assert (answer.status, answer.message) == (status, message)


def test_search_at_a_registry(api: RawHttp, stub_registry: StubRegistry, registry: Registry) -> None:
    entry = {"name": "team/x", "description": "words", "star_count": 7, "is_official": True, "is_automated": False}
    stub_registry.results = [entry, {**entry, "name": "team/y", "star_count": 1, "is_official": False}]
    assert api.get(f"/images/search?term={stub_registry.address}/x") == stub_registry.results
    assert stub_registry.seen[-1] == "GET /v1/search?q=x&n=25"
    filters = urllib.parse.quote('{"stars":["3"],"is-official":["true"]}')
    assert api.get(f"/images/search?term={stub_registry.address}/x&limit=3&filters={filters}") == [entry]
    assert stub_registry.seen[-1] == "GET /v1/search?q=x&n=3"
    answer = api.request("GET", f"/images/search?term={registry.address}/x")
    assert (answer.status, answer.message) == (500, "Unexpected status code 404")
    refused = "dial tcp 127.0.0.1:1: connect: connection refused"
    text = 'invalid registry endpoint "http://127.0.0.1:1/v1/". '
    text += f'HTTPS attempt: Get "https://127.0.0.1:1/v1/_ping": {refused}. '
    text += f'HTTP attempt: Get "http://127.0.0.1:1/v1/_ping": {refused}'
    answer = api.request("GET", "/images/search?term=127.0.0.1:1/x")
    assert (answer.status, answer.message) == (400, text)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("term=x&limit=101", "limit 101 is outside the range of [1, 100]"),
        ("term=x&limit=abc", 'invalid limit specified: strconv.Atoi: parsing "abc": invalid syntax'),
        ("term=x&filters=" + urllib.parse.quote('{"bogus":["1"]}'), "invalid filter 'bogus'"),
        ("term=x&filters=" + urllib.parse.quote('{"is-official":["x"]}'), "invalid filter 'is-official=[x]'"),
        (
            "term=x&filters=" + urllib.parse.quote('{"stars":["x"]}'),
            "invalid filter 'stars=x': strconv.Atoi: parsing \"x\": invalid syntax",
        ),
    ],
)
def test_searches_that_cannot_be(api: RawHttp, query: str, message: str) -> None:
    answer = api.request("GET", f"/images/search?{query}")
    assert (answer.status, answer.message) == (400, message)
