"""docker-py's high-level client."""

import threading

import docker
import pytest
from docker import errors

from compat_tests.clients import imagefiles
from compat_tests.clients.imagefiles import Layer, file, tar
from compat_tests.clients.registry import Registry


def test_run(client: docker.DockerClient) -> None:
    assert client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"
    assert client.containers.list(all=True) == []


def test_run_with_stderr_and_failure(client: docker.DockerClient) -> None:
    both = client.containers.run(
        "busybox", ["sh", "-c", "echo out; echo err >&2"], stdout=True, stderr=True, remove=True
    )
    assert sorted(both.splitlines()) == [b"err", b"out"]
    with pytest.raises(errors.ContainerError) as raised:
        client.containers.run("busybox", ["sh", "-c", "echo oops >&2; exit 3"], remove=True)
    assert raised.value.exit_status == 3
    assert raised.value.stderr == b"oops\n"


def test_run_detached_and_wait(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox", ["sh", "-c", "exit 7"], detach=True, environment={"A": "1"}, labels=["x"], ports={"80/tcp": None},
        volumes={"vol": {"bind": "/v", "mode": "rw"}}, mem_limit="64m", name="detached", tmpfs={"/t": ""},
    )  # fmt: skip
    assert container.wait() == {"StatusCode": 7}
    container.reload()
    assert container.status == "exited"
    assert container.name == "detached"
    assert container.image.tags == ["busybox:latest"]
    container.remove()
    with pytest.raises(errors.NotFound):
        client.containers.get("detached")


def test_run_pulls(client: docker.DockerClient, registry: Registry) -> None:
    name = registry.push(imagefiles.derived(Layer(tar([file("sdk", b"sdk")]))), "tests/sdk", "1")
    assert client.containers.run(f"{name}:1", ["cat", "/sdk"], remove=True) == b"sdk"
    image = client.images.pull(name, tag="1")
    assert image.tags == [f"{name}:1"]
    client.images.remove(f"{name}:1")


def test_streaming_logs(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"], detach=True
    )
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert container.logs(tail=1) == b"3\n"
    assert container.logs(stdout=False, stderr=True) == b""


def test_exec_run(client: docker.DockerClient) -> None:
    container = client.containers.run("busybox", ["sleep", "60"], detach=True)
    assert container.exec_run(["sh", "-c", "echo out; exit 5"]) == (5, b"out\n")
    code, (out, err) = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert (code, out, err) == (0, b"out\n", b"err\n")
    _, stream = container.exec_run(["sh", "-c", "echo a; echo b"], stream=True)
    assert b"".join(stream) == b"a\nb\n"
    assert container.exec_run("id -un", user="alice", workdir="/tmp", environment={"A": "b"}).output == b"alice\n"


def test_events(client: docker.DockerClient) -> None:
    stream = client.events(decode=True, filters={"type": "container"})
    seen: list[str] = []

    def collect() -> None:
        for event in stream:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    thread = threading.Thread(target=collect)
    thread.start()
    client.containers.run("busybox", ["true"], remove=True)
    thread.join(20)
    stream.close()
    assert [action for action in seen if action != "attach"] == ["create", "start", "die", "destroy"]


def test_error_classes(client: docker.DockerClient) -> None:
    with pytest.raises(errors.NotFound, match="No such container: nosuch"):
        client.containers.get("nosuch")
    with pytest.raises(errors.ImageNotFound):
        client.images.get("nosuch")
    with pytest.raises(errors.ImageNotFound):
        client.api.create_container("nosuch:1")
    container = client.containers.run("busybox", ["sleep", "60"], detach=True, name="busy")
    with pytest.raises(errors.APIError) as conflict:
        client.containers.create("busybox", name="busy")
    assert conflict.value.response.status_code == 409
    assert conflict.value.is_client_error()
    with pytest.raises(errors.APIError) as running:
        container.remove()
    assert running.value.status_code == 409
    with pytest.raises(errors.APIError) as bad:
        client.containers.create("busybox", stop_signal="BOGUS")
    assert bad.value.status_code == 400
    with pytest.raises(errors.NotFound):
        client.volumes.get("nosuch")


def test_lifecycle_methods(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", ["sleep", "60"], tty=True, stdin_open=True)
    container.start()
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.rename("renamed")
    assert container.top()["Processes"]
    container.restart(timeout=0)
    container.kill()
    container.stop(timeout=0)
    container.remove(v=True)


def test_attach_socket(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", ["cat"], stdin_open=True, tty=True)
    container.start()
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    socket._sock.sendall(b"hello\n")
    received = b""
    while received.count(b"hello\r\n") < 2:
        received += socket._sock.recv(4096)
    socket.close()


def test_information(client: docker.DockerClient) -> None:
    assert client.ping() is True
    assert client.version()["ApiVersion"] == "1.51"
    assert client.info()["OSType"] == "linux"
    assert client.df()["LayersSize"] >= 0
    assert "busybox:latest" in [tag for image in client.images.list() for tag in image.tags]
    assert [volume.name for volume in client.volumes.list()] == []


def test_save_load_tag(client: docker.DockerClient) -> None:
    image = client.images.get("busybox")
    assert image.tag("copy", "1")
    data = b"".join(client.images.get("copy:1").save(named="copy:1"))
    client.images.remove("copy:1")
    assert "copy:1" in client.images.load(data)[0].tags
    client.images.remove("copy:1")
