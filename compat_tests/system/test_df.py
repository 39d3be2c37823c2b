"""`docker system df`."""

from collections.abc import Callable

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp


def test_sizes_and_counts(api: RawHttp, cli: DockerCli) -> None:
    cli.ok(
        "run",
        "-d",
        "-v",
        "v1:/data",
        "busybox",
        "sh",
        "-c",
        "dd if=/dev/zero of=/data/f bs=1024 count=64; dd if=/dev/zero of=/f bs=1024 count=32; sleep 60",
    )
    cli.ok("volume", "create", "v2")
    found = api.get("/system/df")
    assert len(found["Containers"]) == 1
    images = [image for image in found["Images"] if "busybox:latest" in (image["RepoTags"] or [])]
    assert images[0]["Containers"] == 1
    volumes = {volume["Name"]: volume["UsageData"] for volume in found["Volumes"]}
    assert volumes["v1"]["RefCount"] == 1
    assert volumes["v2"] == {"RefCount": 0, "Size": 0}
    assert found["LayersSize"] > 0


def test_one_type_only(api: RawHttp, create: Callable[..., str]) -> None:
    create("true")
    found = api.get("/v1.51/system/df?type=container")
    assert len(found["Containers"]) == 1
    assert not found.get("Images")
    assert not found.get("Volumes")


def test_cli_table(cli: DockerCli) -> None:
    lines = cli.ok("system", "df").splitlines()
    assert lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert [line.split("  ")[0] for line in lines[1:]] == ["Images", "Containers", "Local Volumes", "Build Cache"]
    assert cli.ok("system", "df", "-v").startswith("Images space usage:")
