"""aiodocker: the API from an asyncio program, on few connections."""

import io
import tarfile
from collections.abc import AsyncIterator

import aiodocker
import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Layer, file, tar
from compat_tests.clients.registry import Registry


@pytest.fixture
async def docker(engine: Daemon) -> AsyncIterator[aiodocker.Docker]:
    async with aiodocker.Docker(engine.host) as made:
        yield made


async def test_run_logs_and_delete(docker: aiodocker.Docker) -> None:
    config = {"Image": "busybox", "Cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"]}
    container = await docker.containers.run(config=config, name="aio")
    assert await container.wait() == {"StatusCode": 3}
    assert await container.log(stdout=True) == ["out\n"]
    assert await container.log(stderr=True, follow=False) == ["err\n"]
    assert (await container.show())["State"]["ExitCode"] == 3
    await container.delete()
    with pytest.raises(aiodocker.DockerError) as raised:
        await docker.containers.get("aio")
    assert (raised.value.status, raised.value.message) == (404, "No such container: aio")


async def test_logs_are_followed(docker: aiodocker.Docker) -> None:
    command = ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]
    container = await docker.containers.run(config={"Image": "busybox", "Cmd": command})
    assert "".join([line async for line in container.log(stdout=True, follow=True)]) == "1\n2\n3\n"
    await container.delete(force=True)


async def test_attach_and_exec(docker: aiodocker.Docker) -> None:
    config = {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True}
    container = await docker.containers.create(config)
    async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
        await container.start()
        await stream.write_in(b"back\n")
        message = await stream.read_out()
        assert message is not None
        assert (message.stream, message.data) == (1, b"back\n")
        execution = await container.exec(["sh", "-c", "cat; exit 4"], stdin=True)
        async with execution.start() as inner:
            await inner.write_in(b"inner\n")
            answered = await inner.read_out()
            assert answered is not None
            assert answered.data == b"inner\n"
    await container.kill()
    assert (await execution.inspect())["ContainerID"] == container.id
    await container.delete(force=True)


async def test_archives_and_stats(docker: aiodocker.Docker) -> None:
    container = await docker.containers.run(config={"Image": "busybox", "Cmd": ["sleep", "300"]})
    await container.put_archive("/", tar([file("given", b"given by aiodocker")]))
    with await container.get_archive("/given") as archive:
        member = archive.extractfile("given")
        assert member is not None
        assert member.read() == b"given by aiodocker"
    (sample,) = await container.stats(stream=False)
    assert sample["pids_stats"]["current"] == 1
    await container.delete(force=True)


async def test_pull_and_build(docker: aiodocker.Docker, registry: Registry) -> None:
    name = registry.push(imagefiles.derived(Layer(tar([file("aio", b"aio")]))), "tests/aio", "1")
    lines = [line async for line in docker.images.pull(f"{name}:1", stream=True)]
    assert lines[-1]["status"] == f"Status: Downloaded newer image for {name}:1"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w:gz") as archive:
        text = f"FROM {name}:1\nRUN cat /aio > /built\n".encode()
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    context.seek(0)
    built = await docker.images.build(fileobj=context, encoding="gzip", tag="aio:built")
    assert built[-1] == {"stream": "Successfully tagged aio:built\n"}
    container = await docker.containers.run(config={"Image": "aio:built", "Cmd": ["cat", "/built"]})
    await container.wait()
    assert await container.log(stdout=True) == ["aio"]
    await container.delete()
    await docker.images.delete("aio:built")
    await docker.images.delete(f"{name}:1")
    await docker.images.prune_builds(all_builds=True)


async def test_networks_and_volumes(docker: aiodocker.Docker) -> None:
    network = await docker.networks.create({"Name": "aio", "Driver": "bridge"})
    volume = await docker.volumes.create({"Name": "aio"})
    config = {"Image": "busybox", "Cmd": ["sleep", "300"], "HostConfig": {"Binds": ["aio:/v"]}}
    container = await docker.containers.run(config=config, name="aio")
    await network.connect({"Container": "aio"})
    assert list((await network.show())["Containers"]) == [container.id]
    await network.disconnect({"Container": "aio"})
    await container.delete(force=True)
    await network.delete()
    await volume.delete()
    assert await docker.networks.list(filters={"name": ["aio"]}) == []
