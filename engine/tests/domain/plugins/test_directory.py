"""How plugins are found: installed ones first, activated once, those that are silent left alone."""

import asyncio
import json
import time

import pytest

from engine.domain.plugins import failures
from engine.domain.plugins.directory import Plugin, PluginDirectory
from engine.drivers.plugins.client import PluginClient
from engine.drivers.plugins.discovery import Address, Places


class Server:
    """A plugin on a socket."""

    def __init__(self, path, answers):
        self.path, self.answers, self.asked = path, answers, []
        self._server = None

    async def start(self):
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split()[1])
        answer = self.answers.get(head.split()[1])
        if answer is None:
            await asyncio.sleep(30)
        status, body = answer if isinstance(answer, tuple) else (200, json.dumps(answer))
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    def close(self):
        self._server.close()


class Installed:
    def __init__(self):
        self.plugin = None
        self.uses = []

    def find(self, name, capability):
        return self.plugin if self.plugin and self.plugin.name == name else None

    def enabled(self, capability):
        return [self.plugin] if self.plugin else []

    def acquire(self, name):
        self.uses.append(name)

    def release(self, name):
        self.uses.remove(name)


@pytest.fixture
def installed():
    return Installed()


@pytest.fixture
def directory(tmp_path, installed):
    return PluginDirectory(Places((tmp_path,), ()), installed)


@pytest.fixture
async def serve(tmp_path):
    servers = []

    async def start(name, answers=None):
        answers = {"/Plugin.Activate": {"Implements": ["VolumeDriver"]}} if answers is None else answers
        servers.append(await Server(tmp_path / f"{name}.sock", answers).start())
        return servers[-1]

    yield start
    for server in servers:
        server.close()


async def test_a_plugin_is_activated_once(directory, serve):
    server = await serve("one")
    first, second = await asyncio.gather(*(directory.get("one", "VolumeDriver") for _ in range(2)))
    assert first is second
    assert server.asked == ["/Plugin.Activate"]
    assert directory.known("VolumeDriver") == ["one"]
    assert directory.known("authz") == []


async def test_what_cannot_be_used(directory, serve):
    with pytest.raises(failures.PluginNotFound, match='^plugin "none" not found$'):
        await directory.get("none", "VolumeDriver")
    await serve("other", {"/Plugin.Activate": {"Implements": ["authz"]}})
    with pytest.raises(failures.NotImplementedByPlugin, match='requested implementation="VolumeDriver"$'):
        await directory.get("other", "VolumeDriver")
    await serve("bad", {"/Plugin.Activate": (500, '{"Err": "broken"}')})
    with pytest.raises(failures.LegacyPluginFailed, match="^legacy plugin: Plugin.Activate: broken$"):
        await directory.get("bad", "VolumeDriver")


async def test_all_waits_for_nobody(directory, serve, installed, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.domain.plugins.directory._SHORT", 0.2)
    await serve("good")
    await serve("mute", {})
    (await serve("dead")).close()
    installed.plugin = Plugin("managed:latest", PluginClient(Address("unix:///x")), frozenset({"volumedriver"}))
    started = time.monotonic()
    assert [p.name for p in await directory.all("VolumeDriver")] == ["good", "managed:latest"]
    assert time.monotonic() - started < 2
    started = time.monotonic()
    assert [p.name for p in await directory.all("VolumeDriver")] == ["good", "managed:latest"]
    assert time.monotonic() - started < 0.15, "the mute one was asked again at once"


async def test_installed_plugins_come_first(directory, serve, installed):
    await serve("name")
    installed.plugin = Plugin("name", PluginClient(Address("unix:///x")), frozenset())
    assert await directory.get("name", "VolumeDriver") is installed.plugin
