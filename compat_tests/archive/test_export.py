"""export, changes, commit."""

import io
import json
import tarfile
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp


def test_changes(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "--name", "diff", "busybox", "mkdir", "-p", "/new/d")
    assert sorted(cli.ok("diff", "diff").split("\n")) == ["A /new", "A /new/d"]
    cli.ok("create", "--name", "same", "busybox", "true")
    assert api.get("/containers/same/changes") is None


def test_changes_of_all_kinds(cli: DockerCli) -> None:
    cli.ok("run", "--name", "kinds", "busybox", "sh", "-c", "echo x > /f; chmod 700 /tmp; mv /bin/cat /bin/cat2")
    assert {"A /f", "C /tmp", "C /bin", "D /bin/cat", "A /bin/cat2"} <= set(cli.ok("diff", "kinds").split("\n"))


def test_export(api: RawHttp, cli: DockerCli) -> None:
    cli.ok("run", "--name", "export", "-v", "exported:/vol", "busybox", "sh", "-c", "echo x > /f; echo y > /vol/y")
    answer = api.request("GET", "/containers/export/export")
    assert answer.headers["content-type"] == "application/octet-stream"
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        found = archive.getnames()
    assert {"f", "bin/busybox", "vol", ".dockerenv"} <= set(found)
    assert "vol/y" not in found
    assert api.request("GET", "/containers/nope/export").status == 404


def test_commit(cli: DockerCli) -> None:
    cli.ok("run", "--name", "work", "-e", "A=1", "--label", "l=1", "busybox", "sh", "-c", "echo x > /f; rm /bin/cat")
    change = ("-c", "ENV B=2", "-c", 'CMD ["ls", "/f"]', "-c", "LABEL z=9")
    made = cli.ok("commit", "-a", "me", "-m", "why", *change, "work", "committed:v1")
    assert made == cli.ok("image", "inspect", "-f", "{{.Id}}", "committed:v1")
    shown = cli.ok("image", "inspect", "-f", "{{.Author}} {{.Comment}} {{.Config.Labels}}", made)
    assert shown == "me why map[l:1 z:9]"
    env = cli.ok("image", "inspect", "-f", "{{json .Config.Env}}", made)
    assert {"A=1", "B=2"} <= set(json.loads(env))
    assert cli.ok("run", "--rm", "committed:v1") == "/f"
    assert cli.run("run", "--rm", "committed:v1", "test", "-e", "/bin/cat").code == 1
    history = cli.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "committed:v1").split("\n")[0]
    assert history == "sh -c echo x > /f; rm /bin/cat|why"


def test_a_committed_image_is_saved_and_loaded(cli: DockerCli, tmp_path: Path) -> None:
    cli.ok("run", "--name", "source", "busybox", "sh", "-c", "echo x > /f")
    cli.ok("commit", "source", "moved:v1")
    cli.ok("save", "-o", str(tmp_path / "moved.tar"), "moved:v1")
    cli.ok("rm", "source")
    cli.ok("rmi", "moved:v1")
    cli.ok("load", "-i", str(tmp_path / "moved.tar"))
    assert cli.ok("run", "--rm", "moved:v1", "cat", "/f") == "x"


def test_commit_pauses(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "600")
    answer = api.post(f"/commit?container={container}")
    assert answer.status == 201
    assert api.get(f"/containers/{container}/json")["State"]["Status"] == "running"
    assert api.get(f"/images/{answer.json()['Id']}/json")["RepoTags"] == []


def test_commit_of_what_ends_meanwhile(api: RawHttp, start: Callable[..., str]) -> None:
    for milliseconds in range(0, 40, 5):
        container = start("sh", "-c", f"usleep {milliseconds}000; touch /made")
        answer = api.post(f"/commit?container={container}&pause=1")
        assert answer.status == 201, answer


def test_commit_errors(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true")
    assert api.post("/commit?container=nope").message == "No such container: nope"
    wrong = api.post(f"/commit?container={container}&changes=BOGUS")
    assert (wrong.status, wrong.message) == (400, "BOGUS is not a valid change command")
    name = api.post(f"/commit?container={container}&repo={urllib.parse.quote('BAD')}")
    assert name.message == "invalid reference format: repository name (library/BAD) must be lowercase"


def test_commit_with_a_configuration(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true", Env=["A=1"], Labels={"l": "1"})
    answer = api.post(f"/commit?container={container}", {"Cmd": ["x"], "Env": ["Q=1"]})
    config = api.get(f"/images/{answer.json()['Id']}/json")["Config"]
    assert (config["Cmd"], config["Env"][:2], config["Labels"]) == (["x"], ["Q=1", "A=1"], {"l": "1"})
