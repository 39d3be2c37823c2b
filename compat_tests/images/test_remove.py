"""`docker rmi` and prune: by name, digest, id and prefix; in use; forced; parents and children."""

import itertools
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, file, tar
from compat_tests.clients.rawhttp import Answer, RawHttp

Load = Callable[[Image, str], None]
Create = Callable[..., str]

IMAGE = Image((Layer(tar([file("x", b"x")])),), {"Cmd": ["/x"]})
KEY = imagefiles.digest(IMAGE.manifest)
SHORT = KEY[7:19]


@pytest.fixture
def names(api: RawHttp, load: Load) -> Callable[..., None]:
    """`names("x:1", "y:2")`: the image under these names."""

    def give(first: str, *more: str) -> None:
        load(IMAGE, first)
        for name in more:
            tag(api, first, name)

    return give


def tag(api: RawHttp, source: str, name: str) -> None:
    repository, _, version = name.rpartition(":")
    assert api.post(f"/images/{source}/tag?repo={repository}&tag={version}").status == 201


def delete(api: RawHttp, name: str, **options: Any) -> Answer:
    return api.request("DELETE", f"/images/{name}?{urllib.parse.urlencode(options)}")


def report(answer: Answer) -> list[str]:
    """`-name` for what was untagged, `!id` for what was deleted."""
    assert answer.status == 200, answer
    return [f"-{d['Untagged']}" if "Untagged" in d else f"!{d['Deleted']}" for d in answer.json()]


def conflict(answer: Answer) -> str:
    assert answer.status == 409, answer
    return answer.message.removeprefix("conflict: unable to delete ")


def left(api: RawHttp, all_too: bool = True) -> dict[str, list[str]]:
    found = api.get(f"/images/json?all={int(all_too)}")
    return {i["Id"]: sorted(i["RepoTags"]) for i in found if "busybox:latest" not in i["RepoTags"]}


@pytest.mark.parametrize("text", [KEY, KEY[7:], SHORT, KEY[:19], "x:1", f"x@{KEY}", "docker.io/library/x:1"])
def test_the_last_name_takes_the_image_along(api: RawHttp, names: Callable[..., None], text: str) -> None:
    names("x:1")
    assert report(delete(api, text)) == ["-x:1", f"!{KEY}"]
    assert left(api) == {}
    assert delete(api, "x:1").message == "No such image: x:1"


@pytest.mark.parametrize("text", [KEY, KEY[7:], SHORT])
@pytest.mark.parametrize("second", ["x:2", "y:1"])
def test_an_id_with_several_names_needs_force(api: RawHttp, names: Callable[..., None], text: str, second: str) -> None:
    names("x:1", second)
    assert conflict(delete(api, text)) == f"{SHORT} (must be forced) - image is referenced in multiple repositories"
    assert left(api) == {KEY: ["x:1", second]}
    assert report(delete(api, text, force=1)) == ["-x:1", f"-{second}", f"!{KEY}"]
    assert left(api) == {}


def test_a_digest_means_all_names_of_its_repository(api: RawHttp, names: Callable[..., None]) -> None:
    names("x:1", "x:2", "y:2")
    assert report(delete(api, f"x@{KEY}")) == ["-x:1", "-x:2"]
    assert delete(api, f"x@{KEY}").message == f"No such image: x@{KEY}"
    assert report(delete(api, f"y@{KEY}")) == ["-y:2", f"!{KEY}"]


def test_used_by_a_stopped_container(api: RawHttp, names: Callable[..., None], create: Create) -> None:
    names("x:1")
    user = create("/x", Image="x:1")[:12]
    stopped = f"{SHORT} (must be forced) - image is being used by stopped container {user}"
    assert conflict(delete(api, "x:1")) == (
        f"x:1 (must be forced) - container {user} is using its referenced image {SHORT}"
    )
    for text in (KEY, SHORT, f"x@{KEY}"):
        assert conflict(delete(api, text)) == stopped
    tag(api, "x:1", "z:1")
    assert conflict(delete(api, SHORT)) == stopped
    assert report(delete(api, "x:1")) == ["-x:1"]
    assert report(delete(api, "z:1", force=1)) == ["-z:1"]
    assert left(api) == {KEY: []}
    assert conflict(delete(api, KEY)) == stopped
    assert report(delete(api, KEY, force=1)) == [f"!{KEY}"]
    assert left(api) == {}
    found = api.get("/containers/json?all=1")[0]
    assert (found["Image"], found["ImageID"]) == (KEY, KEY)


def test_used_by_a_running_container(api: RawHttp, load: Load, start: Create) -> None:
    image = imagefiles.derived(Layer(tar([file("r", b"r")])))
    key = imagefiles.digest(image.manifest)
    load(image, "r:1")
    user = start("sleep", "100", Image="r:1")[:12]
    running = f"{key[7:19]} (cannot be forced) - image is being used by running container {user}"
    for force in (0, 1):
        assert conflict(delete(api, key, force=force)) == running
    tag(api, "r:1", "r:2")
    assert conflict(delete(api, key[7:19], force=1)) == running
    assert report(delete(api, "r:2")) == ["-r:2"]
    assert conflict(delete(api, "r:1")) == (
        f"r:1 (must be forced) - container {user} is using its referenced image {key[7:19]}"
    )
    assert report(delete(api, "r:1", force=1)) == ["-r:1"]
    assert conflict(delete(api, key)) == running
    assert api.post("/containers/" + user + "/pause").status == 204
    assert conflict(delete(api, key, force=1)) == running


def committed(api: RawHttp, create: Create, base: str, name: str = "") -> str:
    """The id of an image made of a container, with one file of its own."""
    container = create("sh", "-c", "echo $$ $(date) > /made", Image=base)
    assert api.post(f"/containers/{container}/start").status == 204
    api.post(f"/containers/{container}/wait")
    key = str(api.post(f"/commit?container={container}").json()["Id"])
    assert api.request("DELETE", f"/containers/{container}").status == 204
    if name:
        tag(api, key, name)
    return key


def test_parents(api: RawHttp, create: Create) -> None:
    base = api.get("/images/busybox/json")["Id"]
    first = committed(api, create, "busybox", "a:1")
    second = committed(api, create, "a:1", "b:1")
    assert api.get("/images/a:1/json")["Parent"] == base
    assert api.get("/images/b:1/json")["Parent"] == first
    found = {i["Id"]: i["ParentId"] for i in api.get("/images/json")}
    assert (found[base], found[first], found[second]) == ("", base, first)


def test_a_parent_loses_its_name_and_goes_with_its_last_child(api: RawHttp, create: Create) -> None:
    first = committed(api, create, "busybox", "a:1")
    second = committed(api, create, "a:1", "b:1")
    assert report(delete(api, "a:1")) == ["-a:1", f"!{first}"]
    assert left(api) == {first: [], second: ["b:1"]}
    assert left(api, all_too=False) == {second: ["b:1"]}
    assert report(delete(api, "b:1")) == ["-b:1", f"!{second}", f"!{first}"]
    assert left(api) == {}


@pytest.mark.parametrize("how", ["forced", "id", "digest"])
def test_a_parent_that_is_really_deleted(api: RawHttp, create: Create, how: str) -> None:
    first = committed(api, create, "busybox", "a:1")
    second = committed(api, create, "a:1", "b:1")
    text = {"forced": "a:1", "id": first, "digest": f"a@{first}"}[how]
    assert report(delete(api, text, force=int(how == "forced"))) == ["-a:1", f"!{first}"]
    assert left(api) == {second: ["b:1"]}


def test_noprune_keeps_the_parents(api: RawHttp, create: Create) -> None:
    first = committed(api, create, "busybox")
    second = committed(api, create, first, "b:1")
    assert report(delete(api, "b:1", noprune=1)) == ["-b:1", f"!{second}"]
    assert left(api) == {first: []}


def test_a_used_parent_stays(api: RawHttp, create: Create) -> None:
    first = committed(api, create, "busybox")
    second = committed(api, create, first, "b:1")
    create("true", Image=first)
    assert report(delete(api, "b:1")) == ["-b:1", f"!{second}"]
    assert left(api) == {first: []}


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("nosuch", 404, "No such image: nosuch:latest"),
        ("nosuch:1", 404, "No such image: nosuch:1"),
        (f"sha256:{'0' * 64}", 404, f"No such image: sha256:{'0' * 64}"),
        ("0" * 64, 404, f"No such image: sha256:{'0' * 64}"),
        ("0" * 12, 404, f"No such image: {'0' * 12}:latest"),
        (f"x@sha256:{'0' * 64}", 404, f"No such image: x@sha256:{'0' * 64}"),
        ("BAD", 400, "invalid reference format: repository name (library/BAD) must be lowercase"),
        ("a:b:c", 400, "invalid reference format"),
        ("", 400, "image name cannot be blank"),
    ],
)
def test_what_is_not_there(api: RawHttp, text: str, status: int, message: str) -> None:
    answer = delete(api, text)
    assert (answer.status, answer.message) == (status, message)


def prune(api: RawHttp, **filters: list[str]) -> list[str]:
    answer = api.post("/images/prune?filters=" + urllib.parse.quote(json.dumps(filters)))
    assert answer.status == 200, answer
    return [d["Deleted"] for d in answer.json()["ImagesDeleted"] or [] if "Deleted" in d]


def labelled(name: str, **labels: str) -> Image:
    return Image((Layer(tar([file(name, name.encode())])),), {"Labels": labels})


def test_prune_by_labels(api: RawHttp, load: Load) -> None:
    images = [labelled("one", team="a"), labelled("two", team="b"), labelled("three", keep="1")]
    for number, image in enumerate(images):
        load(image, f"p:{number}")
    first, second, third = (imagefiles.digest(image.manifest) for image in images)
    assert prune(api) == []
    assert prune(api, dangling=["false"], label=["team=a"]) == [first]
    assert prune(api, dangling=["false"], **{"label!": ["keep"], "label": ["team"]}) == [second]
    assert left(api) == {third: ["p:2"]}
    assert prune(api, dangling=["0"], label=["keep=1"]) == [third]


def test_prune_by_age(api: RawHttp, load: Load) -> None:
    load(labelled("young"), "y:1")
    assert prune(api, dangling=["false"], until=["1h"], label=["nosuch"]) == []
    load(labelled("old", age="old"), "o:1")
    assert prune(api, dangling=["false"], until=["24h"], label=["age"]) == []
    assert len(prune(api, dangling=["false"], until=[str(int(time.time()) + 10)], label=["age"])) == 1


def test_prune_spares_what_is_used(api: RawHttp, load: Load, create: Create) -> None:
    load(labelled("used", prune="me"), "u:1")
    container = create("/used", Image="u:1")
    assert prune(api, dangling=["false"], label=["prune"]) == []
    assert api.request("DELETE", f"/containers/{container}").status == 204
    assert len(prune(api, dangling=["false"], label=["prune"])) == 1


def test_prune_takes_nameless_parents(api: RawHttp, create: Create) -> None:
    first = committed(api, create, "busybox")
    second = committed(api, create, first)
    third = committed(api, create, second, "c:1")
    assert sorted(prune(api)) == sorted([first, second])
    assert left(api) == {third: ["c:1"]}


@pytest.mark.parametrize(
    ("filters", "status", "message"),
    [
        ({"bogus": ["1"]}, 400, "invalid filter 'bogus'"),
        ({"before": ["busybox"]}, 400, "invalid filter 'before'"),
        ({"dangling": ["maybe"]}, 400, "invalid filter 'dangling=[maybe]'"),
        ({"until": ["x"]}, 500, 'failed to parse value as time or duration: "x"'),
    ],
)
def test_prune_filters(api: RawHttp, filters: dict[str, list[str]], status: int, message: str) -> None:
    answer = api.post("/images/prune?filters=" + urllib.parse.quote(json.dumps(filters)))
    assert (answer.status, answer.message) == (status, message)


def test_events_of_parents(engine: Daemon, create: Create) -> None:
    api = engine.api
    first = committed(api, create, "busybox", "a:1")
    second = committed(api, create, "a:1", "b:1")
    with api.stream("GET", "/events?filters=" + urllib.parse.quote('{"type":["image"]}')) as events:
        delete(api, "a:1")
        delete(api, "b:1")
        seen = itertools.islice(events.lines(), 5)
        found = [(e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]["name"]) for e in seen]
    assert found == [
        ("untag", first, "a:1"),
        ("delete", first, first),
        ("untag", second, "b:1"),
        ("delete", second, second),
        ("delete", first, first),
    ]
