"""Images handed to skopeo and podman and taken back, by archive and by registry: digests stay what they are."""

from collections.abc import Callable
from pathlib import Path

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.imagefiles import Image, Index, Layer, file, tar
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


def test_registries_between_docker_and_podman(
    cli: DockerCli, load: Load, registry: Registry, podman: Tool, tmp_path: Path
) -> None:
    made = image("exchanged")
    load(made, "interop:5")
    there = f"{registry.address}/podman/there:1"
    cli.ok("tag", "interop:5", there)
    cli.ok("push", there)
    podman("pull", "-q", there)
    assert podman("inspect", "--format", "{{.Digest}}", there) == imagefiles.digest(made.manifest)
    back = f"{registry.address}/podman/back:1"
    podman("tag", there, back)
    podman("push", "-q", "--digestfile", f"{tmp_path}/digest", back)
    cli.ok("rmi", there, "interop:5")
    cli.ok("pull", back)
    assert cli.ok("run", "--rm", back, "cat", "/exchanged") == "exchanged"
    assert cli.ok("inspect", "-f", "{{.Id}}", back) == (tmp_path / "digest").read_text().strip()


def test_skopeo_copies_between_registries(cli: DockerCli, registry: Registry, skopeo: Tool) -> None:
    made = image("copied")
    name = registry.push(made, "skopeo/copied", "1")
    other = f"{registry.address}/skopeo/elsewhere:1"
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{name}:1", f"docker://{other}")
    cli.ok("pull", other)
    assert cli.ok("inspect", "-f", "{{.Id}}", other) == imagefiles.digest(made.manifest)


def test_an_image_that_skopeo_packed_anew(cli: DockerCli, registry: Registry, skopeo: Tool) -> None:
    """With zstd, and in the other format."""
    name = registry.push(image("packed"), "skopeo/packed", "1")
    for tag, options in (("zstd", ("--dest-compress-format", "zstd")), ("v2s2", ("--format", "v2s2"))):
        target = f"{registry.address}/skopeo/packed:{tag}"
        skopeo(
            "copy",
            *options,
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            f"docker://{name}:1",
            f"docker://{target}",
        )
        cli.ok("pull", target)
        assert cli.ok("run", "--rm", target, "cat", "/packed") == "packed"


def test_a_whole_index_by_archive(cli: DockerCli, registry: Registry, skopeo: Tool, tmp_path: Path) -> None:
    ours = image("ours")
    index = Index((ours, Image(ours.layers, ours.config, architecture="arm64")))
    name = registry.push(index, "skopeo/index", "1")
    archive = f"oci-archive:{tmp_path}/index.tar:interop:6"
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{name}:1", archive)
    assert cli.ok("load", "-i", f"{tmp_path}/index.tar") == "Loaded image: interop:6"
    key = imagefiles.digest(index.manifest)
    assert cli.ok("inspect", "-f", "{{.Id}}", key) == key
    cli.ok("tag", key, f"{registry.address}/skopeo/again:1")
    cli.ok("push", f"{registry.address}/skopeo/again:1")
    target = f"docker://{registry.address}/skopeo/again:1"
    assert skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", target).strip() == key
