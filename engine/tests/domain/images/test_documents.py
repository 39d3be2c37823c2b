"""Manifests, configurations, platforms, changes: pure reading of what others wrote."""

import json

import pytest

from engine.core.errors import WharfError
from engine.core.model.container import ContainerConfig, Empty, Healthcheck
from engine.core.model.image import Descriptor, Platform
from engine.domain.images import documents
from engine.domain.images.changes import apply
from engine.domain.images.config import read_config, read_image, write_config
from engine.domain.images.documents import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Index, Manifest
from engine.domain.images.failures import MalformedImage, SchemaOne
from engine.domain.images.platforms import InvalidPlatform, best, format_platform, parse_platform, same

DIGEST = "sha256:" + "a" * 64
AT = Descriptor(media_type=OCI_MANIFEST, digest=DIGEST, size=3)


def image(**config):
    settings = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}, **config}
    return read_image(AT, AT, Manifest(config=AT, layers=[]), json.dumps(settings).encode())


@pytest.mark.parametrize(
    "config",
    [
        {"config": {"Env": "x"}},
        {"config": {"Env": [1]}},
        {"config": {"Env": ["a\0b"]}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"Labels": []}},
        {"config": {"User": 0}},
        {"config": {"ExposedPorts": ["80"]}},
        {"config": {"Healthcheck": {"Interval": 1 << 70}}},
        {"config": {"Healthcheck": {"Retries": True}}},
        {"config": {"Healthcheck": []}},
        {"config": []},
        {"created": 5},
        {"created": "yesterday"},
        {"history": {"a": 1}},
        {"history": [1]},
        {"history": [{"empty_layer": "yes"}]},
        {"rootfs": {"diff_ids": ["sha256:../x"]}},
        {"rootfs": {"diff_ids": [DIGEST]}},
        {"rootfs": 5},
        {"os": ["linux"]},
    ],
)
def test_hostile_configurations_are_refused(config):
    with pytest.raises(MalformedImage):
        image(**config)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"5", b'{"a":', b"\xff", b"[" * 100_000])
def test_what_is_no_configuration(data):
    with pytest.raises(MalformedImage):
        read_image(AT, AT, Manifest(config=AT, layers=[]), data)


def test_null_is_nothing_and_words_become_lists():
    config = read_config({"Env": None, "Cmd": "run it", "Entrypoint": [], "Volumes": {"/v": {}}, "Labels": {}})
    assert config == ContainerConfig(cmd=["run it"], entrypoint=[], volumes={"/v": Empty()}, labels={})


def test_a_configuration_survives_writing_and_reading():
    made = image(
        created="2024-01-02T03:04:05.5Z",
        author="me",
        config={
            "User": "u",
            "Env": ["A=b"],
            "Cmd": ["a"],
            "ExposedPorts": {"80/tcp": {}},
            "Labels": {"l": "m"},
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5, "Retries": 2},
            "StopSignal": "INT",
            "StopTimeout": 7,
            "Shell": ["sh"],
        },
        history=[{"created": "2024-01-02T03:04:05Z", "created_by": "x", "empty_layer": True, "comment": "c"}],
    )
    again = read_image(AT, AT, Manifest(config=AT, layers=[]), write_config(made))
    assert again == made
    assert made.comment == "c"


def test_documents():
    layer = {"mediaType": documents.OCI_LAYER, "digest": DIGEST, "size": 5, "annotations": {"a": "b"}}
    found = documents.parse(json.dumps({"schemaVersion": 2, "config": layer, "layers": [layer]}).encode(), OCI_MANIFEST)
    assert isinstance(found, Manifest)
    assert found.layers[0].annotations == {"a": "b"}
    entry = {**layer, "platform": {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1"}}
    found = documents.parse(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(), OCI_INDEX)
    assert isinstance(found, Index)
    assert documents.descriptor_json(found.manifests[0]) == entry


@pytest.mark.parametrize(
    ("data", "media_type", "error"),
    [
        (b"", OCI_MANIFEST, MalformedImage),
        (b"[1]", OCI_MANIFEST, MalformedImage),
        (b'{"schemaVersion":1,"fsLayers":[]}', DOCKER_MANIFEST, SchemaOne),
        (b"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", SchemaOne),
        (b'{"schemaVersion":2,"layers":[]}', OCI_MANIFEST, MalformedImage),
        (b'{"schemaVersion":2,"config":{"digest":"x","size":-1},"layers":[]}', OCI_MANIFEST, MalformedImage),
        (b'{"schemaVersion":2}', "text/html", WharfError),
        (b'{"schemaVersion":2,"config":5}', OCI_MANIFEST, MalformedImage),
    ],
)
def test_what_is_no_document(data, media_type, error):
    with pytest.raises(error):
        documents.parse(data, media_type)


def test_too_many_layers():
    layer = {"mediaType": documents.OCI_LAYER, "digest": DIGEST, "size": 5}
    with pytest.raises(MalformedImage):
        documents.parse(
            json.dumps({"schemaVersion": 2, "config": layer, "layers": [layer] * 1001}).encode(), OCI_MANIFEST
        )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("LINUX/AMD64", "linux/amd64"),
    ],
)
def test_platforms_are_read(text, shown):
    assert format_platform(parse_platform(text)) == shown


@pytest.mark.parametrize("text", ["bogus", "a/b/c/d", "linux/", "/", "linux/a b"])
def test_platforms_that_are_none(text):
    with pytest.raises(InvalidPlatform):
        parse_platform(text)


def test_the_best_platform_is_chosen():
    offered = [
        Platform(os="linux", architecture=a, variant=v)
        for a, v in (("386", ""), ("arm", "v6"), ("arm64", ""), ("amd64", ""))
    ]
    assert best(parse_platform("linux/amd64"), offered) == 3
    assert best(parse_platform("linux/amd64"), offered[:3]) == 0
    assert best(parse_platform("linux/arm64"), [None, *offered]) == 3
    assert best(parse_platform("linux/arm64"), offered[:2]) == 1
    assert best(parse_platform("linux/arm/v7"), offered) == 1
    assert best(parse_platform("linux/arm/v5"), offered) == -1
    assert best(parse_platform("linux/s390x"), offered) == -1


def test_exact_platforms():
    arm = Platform(os="linux", architecture="arm64", variant="v8")
    assert same(parse_platform("linux/arm64"), arm)
    assert same(parse_platform("linux/amd64"), Platform(os="linux", architecture="amd64", variant="v3"))
    assert not same(parse_platform("linux/amd64/v2"), Platform(os="linux", architecture="amd64"))
    assert not same(parse_platform("linux/arm/v6"), Platform(os="linux", architecture="arm", variant="v7"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CMD ["/bin/ls"]', {"cmd": ["/bin/ls"]}),
        ("CMD echo hi", {"cmd": ["/bin/sh", "-c", "echo hi"]}),
        ("cmd", {"cmd": ["/bin/sh", "-c"]}),
        ('ENTRYPOINT ["a"]', {"entrypoint": ["a"]}),
        ("ENV a b c", {"env": ["a=b c"]}),
        ("ENV a=\"b c\" d='e f' g=h\\ i", {"env": ["a=b c", "d=e f", "g=h i"]}),
        ("LABEL a=1 b=2", {"labels": {"a": "1", "b": "2"}}),
        ("EXPOSE 80 81/udp", {"exposed_ports": {"80/tcp": Empty(), "81/udp": Empty()}}),
        ("VOLUME /a /b", {"volumes": {"/a": Empty(), "/b": Empty()}}),
        ("WORKDIR a/../b", {"working_dir": "/b"}),
        ("STOPSIGNAL KILL", {"stop_signal": "KILL"}),
        ("ONBUILD RUN x", {"on_build": ["RUN x"]}),
        ("HEALTHCHECK NONE", {"healthcheck": Healthcheck(test=["NONE"])}),
        (
            "HEALTHCHECK --interval=5s --retries=3 CMD true",
            {"healthcheck": Healthcheck(test=["CMD-SHELL", "true"], interval=5 * 10**9, retries=3)},
        ),
        ("# only\nUSER u", {"user": "u"}),
    ],
)
def test_changes(change, expected):
    assert apply(ContainerConfig(), [change]) == ContainerConfig(**expected)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("FOO x", "FOO is not a valid change command"),
        ("RUN x", "RUN is not a valid change command"),
        ("ENV x", "ENV must have two arguments"),
        ("ENV =x", "ENV names can not be blank"),
        ("EXPOSE x", "Invalid containerPort: x"),
        ("USER", "USER requires exactly one argument"),
        ("HEALTHCHECK x", 'Unknown type "X" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ("#", "file with no instructions"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ],
)
def test_changes_that_cannot_be(change, text):
    with pytest.raises(WharfError) as error:
        apply(ContainerConfig(), [change])
    assert str(error.value) == text
