"""Authorization plugins: what they are shown is what is executed, and what they do not agree to does not happen."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.oracle import OracleMissing
from compat_tests.clients.plugin import AuthorizationPlugin, sockets, unused_name
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.secure_registry import Authority
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish, load_busybox

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def guarded(suite: Suite) -> Iterator[tuple[Daemon, AuthorizationPlugin]]:
    """A daemon of this module's own, and the plugin that it asks."""
    name = unused_name("authz")
    authority = Authority(suite.scratch / "authz-ca")
    server, client = authority.issue("server", "serverAuth", "127.0.0.1"), authority.issue("someone", "clientAuth")
    for pair, label in ((authority.own, "ca"), (client, "client")):
        assert pair.certificate.exists(), label
    files = {"tlscacert": authority.own.certificate, "tlscert": server.certificate, "tlskey": server.key}
    tls = [f"--{flag}={path}" for flag, path in files.items()]
    daemon = suite.daemon(f"--authorization-plugin={name}", "-H", f"tcp://127.0.0.1:{_PORT}", "--tlsverify", *tls)
    plugin = AuthorizationPlugin(sockets(daemon) / f"{name}.sock")
    try:
        plugin.start()
        try:
            daemon.start()
        except OracleMissing as error:
            pytest.skip(str(error))
        load_busybox(daemon)
        daemon.cli.ok("run", "--rm", "-p", "127.0.0.1::80", "busybox", "true")
        yield daemon, plugin
        plugin.reset()
        daemon.wipe()
        daemon.stop()
    finally:
        plugin.reset()
        finish(daemon)
        plugin.close()


_PORT = 23760


@pytest.fixture(scope="module")
def engine(guarded: tuple[Daemon, AuthorizationPlugin]) -> Daemon:
    return guarded[0]


@pytest.fixture
def plugin(guarded: tuple[Daemon, AuthorizationPlugin]) -> Iterator[AuthorizationPlugin]:
    guarded[1].reset()
    yield guarded[1]
    guarded[1].reset()


def raw(api: RawHttp, head: str, body: bytes = b"") -> int:
    """The status of a request that is sent as it is."""
    with api.exchange(head.replace("\n", "\r\n").encode() + body, timeout=20) as answer:
        return answer.status


def test_requests_and_answers_are_shown(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    body = json.dumps({"Name": "shown"}).encode()
    secrets = {"X-Registry-Auth": "c2VjcmV0", "X-Registry-Config": "c2VjcmV0", "Authorization": "secret"}
    api.request("POST", "/v1.45/volumes/create?a=%20b", body, {**JSON, **secrets, "x-Other": "seen"})
    asked, answered = plugin.asked("volumes/create"), plugin.answered("volumes/create")
    expected = {
        "RequestMethod": "POST",
        "RequestUri": "/v1.45/volumes/create?a=%20b",
        "RequestBody": body,
        "RequestHeaders": {
            "Accept-Encoding": "identity",
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
            "X-Other": "seen",
        },
    }
    assert asked == [expected]
    assert len(answered) == 1
    assert {key: answered[0][key] for key in expected} == expected
    assert answered[0]["ResponseStatusCode"] == 201
    assert json.loads(answered[0]["ResponseBody"])["Name"] == "shown"
    assert answered[0]["ResponseHeaders"]["Content-Type"] == "application/json"
    assert answered[0]["ResponseHeaders"]["Api-Version"]
    api.request("GET", "/_ping")
    assert [(q["RequestMethod"], q["RequestUri"]) for q in plugin.asked("_ping")] == [("GET", "/_ping")]


def test_what_is_denied_does_not_happen(cli: DockerCli, api: RawHttp, plugin: AuthorizationPlugin) -> None:
    plugin.requests["volumes/create"] = {"Allow": False, "Msg": "no volumes today"}
    answer = api.post("/volumes/create", {"Name": "denied"})
    text = f"authorization denied by plugin {plugin.name}: no volumes today"
    assert (answer.status, answer.message) == (403, text)
    assert cli.fails("volume", "create", "denied") == f"Error response from daemon: {text}"
    assert not plugin.answered("volumes/create")
    assert cli.ok("volume", "ls", "-q") == ""


def test_a_plugin_that_fails_lets_nothing_pass(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    failures = (
        ((500, b'{"Err": "broken"}'), "AuthZPlugin.AuthZReq: broken"),
        ((500, b"oops"), "AuthZPlugin.AuthZReq: oops"),
    )
    for reply, reason in failures:
        plugin.requests["volumes/create"] = reply
        answer = api.post("/volumes/create", {"Name": "failed"})
        assert (answer.status, answer.message) == (500, f"plugin {plugin.name} failed with error: {reason}")
    for nothing in ({}, {"Err": "an error"}):
        plugin.requests["volumes/create"] = nothing
        assert api.post("/volumes/create", {"Name": "failed"}).status == 403
    plugin.requests["volumes/create"] = (200, b"no json")
    assert api.post("/volumes/create", {"Name": "failed"}).status == 500
    assert api.request("GET", "/volumes/failed").status == 404


def test_answers_can_be_denied(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    plugin.answers["/info"] = {"Allow": False, "Msg": "secret"}
    answer = api.request("GET", "/info")
    assert (answer.status, answer.message) == (403, f"authorization denied by plugin {plugin.name}: secret")
    plugin.answers["/info"] = (500, b"oops")
    answer = api.request("GET", "/info")
    text = f"plugin {plugin.name} failed with error: AuthZPlugin.AuthZRes: oops"
    assert (answer.status, answer.message) == (500, text)
    plugin.answers = {"/containers": {"Allow": False, "Msg": "secret"}}
    missing = api.request("GET", "/containers/nosuch/json")
    assert (missing.status, missing.message) == (404, "No such container: nosuch")
    assert "ResponseBody" not in plugin.answered("nosuch")[0]


def test_bodies_are_what_is_executed(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    """A length of 0 before bytes (CVE-2024-41110), chunks, parameters of the content type."""
    head = "POST /volumes/create HTTP/1.1\nHost: x\nContent-Type: application/json\n"
    body = b'{"Name":"hidden"}'
    assert raw(api, f"{head}Content-Length: 0\n\n", body) == 201
    assert "RequestBody" not in plugin.asked("volumes/create")[0]
    assert api.request("GET", "/volumes/hidden").status == 404
    plugin.reset()
    chunked = b'6\r\n{"Name\r\n11\r\n":"hidden","x":1}\r\n0\r\n\r\n'
    assert raw(api, f"{head}Transfer-Encoding: chunked\n\n", chunked) == 201
    assert plugin.asked("volumes/create")[0]["RequestBody"] == b'{"Name":"hidden","x":1}'
    assert api.request("GET", "/volumes/hidden").status == 200
    plugin.reset()
    api.request("POST", "/volumes/create", body, {"Content-Type": "Application/JSON; charset=utf-8"})
    assert plugin.asked("volumes/create")[0]["RequestBody"] == body
    for kind in ("application/x-tar", "text/plain", "application/json+x"):
        plugin.reset()
        assert api.request("POST", "/volumes/create", b'{"Name":"other"}', {"Content-Type": kind}).status == 400
        assert "RequestBody" not in plugin.asked("volumes/create")[0]
    assert api.request("GET", "/volumes/other").status == 404


def test_a_body_without_a_type_is_shown_or_refused(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    answer = raw(api, "POST /volumes/create HTTP/1.1\nHost: x\nContent-Length: 16\n\n", b'{"Name":"other"}')
    shown = plugin.asked("volumes/create")[0].get("RequestBody")
    assert (answer, shown) in ((201, b'{"Name":"other"}'), (400, None))


def test_a_large_body_is_shown_whole_or_refused(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    for size in (900_000, 3 << 20, 5 << 20):
        plugin.reset()
        body = json.dumps({"Name": f"large{size}", "Labels": {"x": "y" * size}}).encode()
        try:
            status = api.request("POST", "/volumes/create", body, JSON).status
        except BrokenPipeError:
            status = 500  # The connection is closed before all of it is sent.
        shown = [q.get("RequestBody") for q in plugin.asked("volumes/create")]
        assert (status == 201 and shown == [body]) or (status >= 400 and body not in shown), (size, status)
        assert api.request("GET", f"/volumes/large{size}").status == (200 if status == 201 else 404)


def test_credentials_are_not_shown(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    credentials = {"username": "u", "password": "hidden", "serveraddress": "127.0.0.1:1"}
    assert api.post("/auth", credentials).status >= 400
    assert "RequestBody" not in plugin.asked("/auth")[0]


def test_archives_pass_untouched(cli: DockerCli, plugin: AuthorizationPlugin) -> None:
    cli.ok("create", "--name", "into", "busybox")
    archive = subprocess.run(["tar", "-c", "-C", "/etc", "hostname"], capture_output=True, check=True).stdout
    cli.ok("cp", "-", "into:/tmp", stdin=archive)
    assert "RequestBody" not in plugin.asked("/archive")[-1]
    cli.ok("import", "-", "imported:1", stdin=archive)
    cli.ok("rmi", "imported:1")


def test_streams_work_and_can_be_denied(cli: DockerCli, plugin: AuthorizationPlugin) -> None:
    assert cli.ok("run", "-i", "--rm", "busybox", "cat", stdin=b"through\n") == "through"
    assert plugin.asked("/attach?")[0]["RequestMethod"] == "POST"
    assert b'"Image":"busybox"' in plugin.asked("/containers/create")[0]["RequestBody"]
    eventually(lambda: plugin.answered("/attach?"), what="the end of the stream is told")
    cli.ok("run", "-d", "--name", "one", "busybox", "sleep", "60")
    assert cli.ok("exec", "-i", "one", "cat", stdin=b"there and back") == "there and back"
    started = next(q for q in plugin.asked("/exec/") if q["RequestUri"].endswith("/start"))
    assert json.loads(started["RequestBody"])["Detach"] is False
    plugin.requests["/exec/"] = {"Allow": False, "Msg": "no exec"}
    assert "received 403" in cli.fails("exec", "one", "true")
    plugin.requests = {"/attach": {"Allow": False, "Msg": "no attach"}}
    assert "received 403" in cli.fails("attach", "one")
    assert cli.ok("logs", "one") == ""


def test_a_client_is_known_by_its_certificate(
    engine: Daemon, suite: Suite, cli: DockerCli, plugin: AuthorizationPlugin
) -> None:
    directory = suite.scratch / "authz-ca"
    files = [
        f"--tlscacert={directory}/ca.crt",
        f"--tlscert={directory}/someone.crt",
        f"--tlskey={directory}/someone.key",
    ]
    argv = [cli.binary, "-H", f"tcp://127.0.0.1:{_PORT}", "--tlsverify", *files, "volume", "ls", "-q"]
    environment = {key: value for key, value in cli.environment.items() if key != "DOCKER_HOST"}
    subprocess.run(engine.namespaces.command(argv), env=environment, check=True, capture_output=True)
    asked = plugin.asked("/volumes")[0]
    assert (asked["User"], asked["UserAuthNMethod"]) == ("someone", "TLS")
    assert len(asked["RequestPeerCertificates"]) == 1
    plugin.reset()
    cli.ok("volume", "ls")
    assert not {"User", "UserAuthNMethod", "RequestPeerCertificates"} & plugin.asked("/volumes")[0].keys()


def test_info_names_them(api: RawHttp, plugin: AuthorizationPlugin) -> None:
    assert api.get("/info")["Plugins"]["Authorization"] == [plugin.name]


def test_a_daemon_without_its_plugin_does_not_start(suite: Suite, engine: Daemon) -> None:
    daemon = suite.daemon("--authorization-plugin=nosuchplugin")
    try:
        with pytest.raises(RuntimeError) as failed:
            daemon.start()
        said = str(failed.value).replace("\\", "")
        assert 'failed to validate authorization plugin: plugin "nosuchplugin" not found' in said
    finally:
        finish(daemon)


def test_the_chain_changes_with_the_settings(suite: Suite, engine: Daemon) -> None:
    daemon = suite.daemon()
    plugins = [AuthorizationPlugin(sockets(daemon) / f"{unused_name(name)}.sock") for name in ("first", "second")]
    config = daemon.state / ("daemon.json" if daemon.kind == "wharfd" else "oracle.json")

    def use(*chain: AuthorizationPlugin) -> None:
        config.write_text(json.dumps({"authorization-plugins": [p.name for p in chain]}))
        daemon.reload()

    try:
        daemon.start()
        for plugin in plugins:
            plugin.start()
        use(*plugins)
        eventually(lambda: daemon.api.request("GET", "/version") and plugins[1].asked("/version"), what="the chain")
        order = [p.name for p in plugins for q in p.asked("/version")]
        assert order
        plugins[0].requests["/version"] = {"Allow": False, "Msg": "first says no"}
        plugins[1].calls.clear()
        denied = daemon.api.request("GET", "/version")
        assert denied.message == f"authorization denied by plugin {plugins[0].name}: first says no"
        assert not plugins[1].asked("/version")
        use()
        eventually(lambda: daemon.api.request("GET", "/version").status == 200, what="nobody is asked")
        plugins[0].calls.clear()
        assert daemon.api.request("GET", "/version").status == 200
        assert not plugins[0].calls
    finally:
        for plugin in plugins:
            plugin.reset()
        finish(daemon)
        for plugin in plugins:
            plugin.close()
