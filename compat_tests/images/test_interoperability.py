"""Images handed to skopeo and podman and taken back, by archive and by registry: digests stay what they are."""

from collections.abc import Callable
from pathlib import Path

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.imagefiles import Image, Layer, file, tar
from compat_tests.clients.registry import Registry

Load = Callable[[Image, str], None]
Tool = Callable[..., str]


def image(name: str) -> Image:
    return imagefiles.derived(Layer(tar([file(name, name.encode())])))


def test_skopeo_copies_a_saved_image_to_a_registry(
    cli: DockerCli, load: Load, registry: Registry, skopeo: Tool, tmp_path: Path
) -> None:
    made = image("saved")
    load(made, "interop:1")
    cli.ok("save", "-o", f"{tmp_path}/saved.tar", "interop:1")
    target = f"{registry.address}/skopeo/saved:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci-archive:{tmp_path}/saved.tar", f"docker://{target}")
    cli.ok("rmi", "interop:1")
    cli.ok("pull", target)
    assert cli.ok("inspect", "-f", "{{.Id}}", target) == imagefiles.digest(made.manifest)


def test_skopeo_reads_what_was_pushed(
    cli: DockerCli, load: Load, registry: Registry, skopeo: Tool, tmp_path: Path
) -> None:
    made = image("pushed")
    load(made, "interop:2")
    name = f"{registry.address}/skopeo/pushed:1"
    cli.ok("tag", "interop:2", name)
    cli.ok("push", name)
    shown = skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{name}")
    assert shown.strip() == imagefiles.digest(made.manifest)
    cli.ok("rmi", name, "interop:2")
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"oci-archive:{tmp_path}/out.tar:interop:2")
    cli.ok("load", "-i", f"{tmp_path}/out.tar")
    assert cli.ok("inspect", "-f", "{{.Id}}", imagefiles.digest(made.manifest)) == imagefiles.digest(made.manifest)


def test_an_archive_that_skopeo_made(cli: DockerCli, registry: Registry, skopeo: Tool, tmp_path: Path) -> None:
    name = registry.push(image("old"), "skopeo/old", "1")
    archive = f"docker-archive:{tmp_path}/old.tar:interop:3"
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}:1", archive)
    assert "Loaded image: interop:3" in cli.ok("load", "-i", f"{tmp_path}/old.tar")
    assert cli.ok("run", "--rm", "interop:3", "cat", "/old") == "old"


def test_podman_takes_and_gives(cli: DockerCli, load: Load, podman: Tool, tmp_path: Path) -> None:
    load(image("podman"), "interop:4")
    cli.ok("save", "-o", f"{tmp_path}/saved.tar", "interop:4")
    assert "interop:4" in podman("load", "-q", "-i", f"{tmp_path}/saved.tar")
    podman("save", "-q", "--format", "oci-archive", "-o", f"{tmp_path}/oci.tar", "interop:4")
    podman("save", "-q", "--format", "docker-archive", "-o", f"{tmp_path}/docker.tar", "interop:4")
    for name in ("oci.tar", "docker.tar"):
        cli.ok("rmi", "interop:4")
        out = cli.ok("load", "-i", f"{tmp_path}/{name}")
        loaded = out.splitlines()[-1].partition(": ")[2]
        cli.ok("tag", loaded, "interop:4")
        assert cli.ok("run", "--rm", "interop:4", "cat", "/podman") == "podman"
        if loaded != "interop:4":
            cli.ok("rmi", loaded)
