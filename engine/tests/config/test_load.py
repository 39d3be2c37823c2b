"""From a command line and a file to settings; the texts are those of dockerd 28.5 (`dockerd --validate`)."""

import json
from pathlib import Path

import pytest

from engine.config import arguments, reload
from engine.config.failures import ConfigError
from engine.config.load import load
from engine.config.settings import SOCKET, AddressPool, Config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    return path


def settings(file: Path, content: object, *argv: str) -> Config:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return load(arguments.parse(["--config-file", str(file), *argv]), ["--config-file", str(file), *argv])


def complaint(file: Path, content: object, *argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(file, content, *argv)
    return str(caught.value).removeprefix(f"unable to configure the Docker daemon with file {file}: ")


ZERO = 'invalid argument "tcp://1.2.3.4:0" for "-H, --host" flag: '
MERGED = "merged configuration validation from file and command line flags failed: "


def test_defaults(file: Path) -> None:
    config = settings(file, "")
    assert (config.hosts, str(config.data_root), str(config.exec_root)) == ([SOCKET], "/var/lib/wharf", "/run/wharf")
    assert str(config.pidfile) == "/run/wharf.pid"
    assert config.group == "docker"


def test_flags_and_file_add_up(file: Path) -> None:
    content = {"labels": ["a=b"], "runtimes": {"x": {"path": "/x", "runtimeArgs": ["--v"]}}, "userland-proxy": False}
    config = settings(file, content, "-D", "--mtu=1400", "--add-runtime", "y=/y", "--default-runtime", "y")
    assert (config.labels, config.debug, config.log_level, config.mtu) == (["a=b"], True, "debug", 1400)
    assert config.runtimes["x"].runtime_args == ["--v"]
    assert config.runtimes["y"].path == "/y"
    assert config.userland_proxy is False


def test_other_roots_have_a_pid_file_of_their_own(file: Path) -> None:
    assert str(settings(file, {}, "--exec-root", "/x").pidfile) == "/x/wharf.pid"
    assert str(settings(file, {}, "--exec-root", "/x", "-p", "/y").pidfile) == "/y"
    assert settings(file, {}, "--pidfile", "").pidfile is None


def test_short_flags_as_pflag_reads_them(file: Path) -> None:
    config = settings(file, {}, "-Dl", "warn", "-H=unix:///x", "-Hunix:///y", "--debug=false")
    assert (config.hosts, config.debug, config.log_level) == (["unix:///x", "unix:///y"], False, "warn")


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("", SOCKET),
        ("unix://", SOCKET),
        ("tcp://", "tcp://localhost:2375"),
        (":2375", "tcp://localhost:2375"),
        ("tcp://127.0.0.1", "tcp://127.0.0.1:2375"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
        ("fd://", "fd://"),
    ],
)
def test_hosts_in_full(file: Path, text: str, full: str) -> None:
    assert settings(file, {}, "-H", text).hosts == [full]


def test_structured_values(file: Path) -> None:
    config = settings(
        file,
        {"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 4, "Soft": 3}}, "default-shm-size": "1M"},
        "--default-address-pool",
        "base=10.0.0.0/8,size=24",
        "--default-network-opt",
        "bridge=a=b",
        "--log-opt",
        "max-size=1m",
    )
    assert config.default_address_pools == [AddressPool("10.0.0.0/8", 24)]
    assert config.default_network_opts == {"bridge": {"a": "b"}}
    assert config.log_opts == {"max-size": "1m"}
    assert config.default_shm_size == 1 << 20
    assert (config.default_ulimits["nofile"].soft, config.default_ulimits["nofile"].hard) == (3, 4)


def test_mirrors_of_any_registry(file: Path) -> None:
    mirrors = ["https://a", "ghcr.io=http://b/x", "https://c/"]
    config = settings(file, {"registry-mirrors": mirrors})
    assert config.mirrors == {"docker.io": ["https://a/", "https://c/"], "ghcr.io": ["http://b/x/"]}


def test_settings_without_meaning_are_noted(file: Path) -> None:
    assert settings(file, {"containerd": "/x"}, "--live-restore=false").notices == [
        "the setting containerd has no effect: there is no containerd",
        "the setting live-restore=false has no effect: containers always survive the daemon",
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"foo": 1, "proxies": {"bar": "x"}},
            "the following directives don't match any configuration option: bar, foo",
        ),
        ({"DEBUG": True}, "the following directives don't match any configuration option: DEBUG"),
        ({"host": ["unix:///x"]}, "the following directives don't match any configuration option: host"),
        (
            {"debug": "yes"},
            "invalid JSON: json: cannot unmarshal string into Go struct field Config.debug of type bool",
        ),
        ({"mtu": 1.5}, "invalid JSON: json: cannot unmarshal number 1.5 into Go struct field Config.mtu of type int"),
        ([], "invalid JSON: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ('{"debug":true,}', "invalid JSON: invalid character '}' looking for beginning of object key string"),
        ('{"debug":true}x', "invalid JSON: invalid character 'x' after top-level value"),
        ({"labels": ["foo"]}, f"{MERGED}bad attribute format: foo"),
        ({"labels": ["a=1", "a=2"]}, "conflict labels for a=2 and a=1"),
        ({"hosts": ["http://x"]}, f"{MERGED}invalid bind address (http://x): unsupported proto 'http'"),
        ({"max-concurrent-uploads": -1}, f"{MERGED}invalid max concurrent uploads: -1"),
        ({"exec-opts": ["foo"]}, f"{MERGED}invalid exec-opt (foo): must be formatted 'opt=value'"),
        ({"exec-opts": ["native.cgroupdriver=x"]}, "native.cgroupdriver option x not supported"),
        ({"dns": ["1.2.3.400"]}, "invalid JSON: invalid IP address: 1.2.3.400"),
        ({"default-runtime": "nope"}, "specified default runtime 'nope' does not exist"),
        ({"storage-driver": "btrfs"}, "driver not supported: btrfs"),
        ({"bip": "1.2.3"}, "invalid CIDR address: 1.2.3"),
    ],
)
def test_what_is_wrong_with_a_file(file: Path, content: object, text: str) -> None:
    assert complaint(file, content) == text


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--bogus"], "unknown flag: --bogus"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["--mtu"], "flag needs an argument: --mtu"),
        (["extra"], '"wharfd" accepts no arguments.'),
        (["--mtu", "x"], 'invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ["--debug=maybe"],
            'invalid argument "maybe" for "-D, --debug" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (["-H", "tcp://1.2.3.4:0"], f"{ZERO}invalid bind address (tcp://1.2.3.4:0): invalid port: 0"),
        (["--exec-opt", "x"], f"{MERGED}invalid exec-opt (x): must be formatted 'opt=value'"),
        (["--dns-search", "a b"], 'invalid argument "a b" for "--dns-search" flag: a b is not a valid domain'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_command_line(file: Path, argv: list[str], text: str) -> None:
    assert complaint(file, {}, *argv) == text


def test_flag_and_key_for_the_same_thing(file: Path) -> None:
    text = complaint(file, {"labels": ["a=b"], "data-root": "/x"}, "--label", "c=d", "--data-root", "/y")
    assert text == (
        "the following directives are specified both as a flag and in the configuration file: "
        "data-root: (from flag: /y, from file: /x), labels: (from flag: [c=d], from file: [a=b])"
    )


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="open /nope: no such file or directory"):
        load({"config-file": "/nope"}, [])


def test_tcp_without_tls_only_on_loopback(file: Path) -> None:
    assert complaint(file, {}, "-H", "tcp://0.0.0.0:2375").startswith(
        "refusing to listen on tcp://0.0.0.0:2375 without TLS"
    )
    allowed = settings(file, {}, "-H", "tcp://0.0.0.0:2375", "--allow-insecure-tcp")
    assert allowed.notices
    assert not settings(file, {}, "-H", "tcp://127.0.0.2:2375").notices


def test_tls_needs_its_files(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    assert "invalid TLS configuration: Could not load X509 key pair" in complaint(file, {}, "--tlsverify")
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    config = settings(file, {}, "--tlsverify", "-H", "tcp://0.0.0.0")
    assert (config.tls, config.hosts) == (True, ["tcp://0.0.0.0:2376"])
    assert config.tlscacert == str(tmp_path / "ca.pem")


def test_reload_takes_only_what_can_change(file: Path) -> None:
    old = settings(file, {"labels": ["a=b"]})
    file.write_text(json.dumps({"labels": ["a=c"], "debug": True, "data-root": "/elsewhere"}))
    new = reload.again(old)
    merged = reload.reloadable(old, new)
    assert (merged.labels, merged.debug, str(merged.data_root)) == (["a=c"], True, "/var/lib/wharf")
    assert reload.changes(old, new) == {"labels": ["a=c"], "debug": True, "log_level": "debug"}
