"""What is refused when a container is made, and what when it starts: texts of dockerd 28.5."""

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp

FLUENTD = "invalid fluentd-address ({}): "
START = "failed to create task for container: failed to initialize logging driver: "


@pytest.mark.parametrize(
    ("driver", "options", "problem"),
    [
        ("nosuch", {}, 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
        ("gcplogs", {}, 'error looking up logging plugin gcplogs: plugin "gcplogs" not found'),
        ("nosuch", {"mode": "x"}, "logger: logging mode not supported: x"),
        ("json-file", {"mode": "x"}, "logger: logging mode not supported: x"),
        (
            "syslog",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            "syslog",
            {"mode": "non-blocking", "max-buffer-size": "x"},
            "error parsing option max-buffer-size: invalid size: 'x'",
        ),
        ("json-file", {"foo": "1"}, "unknown log opt 'foo' for json-file log driver"),
        ("local", {"foo": "1"}, "unknown log opt 'foo' for log driver local"),
        ("journald", {"foo": "1"}, "unknown log opt 'foo' for journald log driver"),
        ("syslog", {"foo": "1"}, "unknown log opt 'foo' for syslog log driver"),
        ("fluentd", {"foo": "1"}, "unknown log opt 'foo' for fluentd log driver"),
        ("gelf", {"gelf-address": "udp://h:1", "foo": "1"}, 'unknown log opt "foo" for gelf log driver'),
        ("gelf", {"foo": "1"}, "gelf-address is a required parameter"),
        ("json-file", {"cache-disabled": "x"}, "invalid value for option cache-disabled: x"),
        ("json-file", {"cache-foo": "x"}, "unknown log opt 'cache-foo' for json-file log driver"),
        ("fluentd", {"fluentd-address": "://x"}, FLUENTD.format("://x") + 'parse "://x": missing protocol scheme'),
        (
            "fluentd",
            {"fluentd-address": "tcp://h:abc"},
            FLUENTD.format("tcp://h:abc") + 'parse "tcp://h:abc": invalid port ":abc" after host',
        ),
        ("fluentd", {"fluentd-address": "ftp://h:1"}, FLUENTD.format("ftp://h:1") + "unsupported scheme: 'ftp'"),
        (
            "fluentd",
            {"fluentd-address": "h:70000"},
            FLUENTD.format("h:70000") + 'invalid port: strconv.ParseUint: parsing "70000": value out of range',
        ),
        ("fluentd", {"fluentd-address": "h/p"}, FLUENTD.format("h/p") + "should not contain a path element"),
        ("fluentd", {"fluentd-address": "unix://"}, FLUENTD.format("unix://") + "path is empty"),
        ("fluentd", {"fluentd-async": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
        ("fluentd", {"fluentd-buffer-limit": "x"}, "invalid size: 'x'"),
        ("fluentd", {"fluentd-retry-wait": "5"}, 'time: missing unit in duration "5"'),
        ("fluentd", {"fluentd-max-retries": "-1"}, 'strconv.ParseUint: parsing "-1": invalid syntax'),
        (
            "fluentd",
            {"fluentd-async-reconnect-interval": "11s"},
            'invalid value for fluentd-async-reconnect-interval: value ("11s") must be between 100ms and 10s',
        ),
        (
            "fluentd",
            {"fluentd-write-timeout": "-1s"},
            "invalid value for fluentd-write-timeout: value must be a duration that is non-negative",
        ),
        ("syslog", {"syslog-address": "foo"}, "unsupported scheme: ''"),
        ("syslog", {"syslog-address": "unix:///nosuch"}, "stat /nosuch: no such file or directory"),
        ("syslog", {"syslog-address": "tcp://h:1:2"}, "address h:1:2: too many colons in address"),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "x"}, "Invalid syslog format"),
        ("gelf", {"gelf-address": "http://h:1"}, "gelf: endpoint needs to be TCP or UDP"),
        ("gelf", {"gelf-address": "udp://h"}, "gelf: please provide gelf-address as proto://host:port"),
        (
            "gelf",
            {"gelf-address": "udp://h:1", "gelf-compression-level": "10"},
            'unknown value "10" for log opt "gelf-compression-level" for gelf log driver',
        ),
        (
            "gelf",
            {"gelf-address": "tcp://h:1", "gelf-compression-type": "gzip"},
            "compression is only supported on UDP",
        ),
        (
            "gelf",
            {"gelf-address": "tcp://h:1", "gelf-tcp-max-reconnect": "x"},
            '"gelf-tcp-max-reconnect" must be a positive integer',
        ),
        (
            "gelf",
            {"gelf-address": "udp://h:1", "gelf-tcp-reconnect-delay": "1"},
            '"gelf-tcp-reconnect-delay" is only valid for TCP',
        ),
    ],
)
def test_refused_at_create(api: RawHttp, driver: str, options: dict[str, str], problem: str) -> None:
    body = {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver, "Config": options}}}
    answer = api.post("/containers/create", body)
    assert (answer.status, answer.message) == (400, problem)


@pytest.mark.parametrize(
    ("driver", "options", "problem"),
    [
        ("json-file", {"max-size": "x"}, "invalid size: 'x'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"compress": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
        (
            "json-file",
            {"compress": "true", "max-size": "1m"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("local", {"max-size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
        ("local", {"max-file": "x"}, 'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax'),
        ("local", {"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
        (
            "local",
            {"compress": "x"},
            'error reading compress log option: strconv.ParseBool: parsing "x": invalid syntax',
        ),
        ("json-file", {"labels-regex": "("}, "error parsing regexp: missing closing ): `(`"),
        (
            "json-file",
            {"tag": "{{.Foo}}"},
            'template: log-tag:1:2: executing "log-tag" at <.Foo>: can\'t evaluate field Foo in type *logger.Info',
        ),
        ("json-file", {"tag": "{{foo}}"}, 'template: log-tag:1: function "foo" not defined'),
        ("json-file", {"tag": "{{"}, "template: log-tag:1: unclosed action"),
        ("syslog", {"syslog-address": "tcp://127.0.0.1:9"}, "dial tcp 127.0.0.1:9: connect: connection refused"),
        (
            "syslog",
            {"syslog-address": "tcp+tls://127.0.0.1:9", "syslog-tls-ca-cert": "/nosuch"},
            'could not read CA certificate "/nosuch": open /nosuch: no such file or directory',
        ),
        (
            "syslog",
            {"syslog-address": "tcp+tls://127.0.0.1:9", "syslog-tls-cert": "/nosuch", "syslog-tls-key": "/nosuch"},
            "Could not load X509 key pair: open /nosuch: no such file or directory",
        ),
        ("syslog", {}, "Unix syslog delivery error"),
        (
            "gelf",
            {"gelf-address": "tcp://127.0.0.1:9"},
            "gelf: cannot connect to GELF endpoint: 127.0.0.1:9 dial tcp 127.0.0.1:9: connect: connection refused",
        ),
        ("fluentd", {"fluentd-address": "unix:///nosuch"}, "dial unix /nosuch: connect: no such file or directory"),
        ("journald", {}, "journald is not enabled on this host"),
    ],
)
def test_refused_at_start(api: RawHttp, driver: str, options: dict[str, str], problem: str) -> None:
    host = {"LogConfig": {"Type": driver, "Config": options}, "NetworkMode": "none"}
    created = api.post("/containers/create", {"Image": "busybox", "Cmd": ["true"], "HostConfig": host})
    answer = api.post(f"/containers/{created.json()['Id']}/start")
    # dockerd takes what a file is missing for the client's mistake.
    assert (answer.status, answer.message) == (400 if "no such file" in problem else 500, START + problem)


@pytest.mark.parametrize("driver", ["awslogs", "splunk"])
@pytest.mark.difference("no-cloud-log-drivers")
def test_drivers_that_are_not_there(api: RawHttp, driver: str) -> None:
    answer = api.post("/containers/create", {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver}}})
    assert answer.message == f'error looking up logging plugin {driver}: plugin "{driver}" not found'


def test_what_the_engine_says_of_its_drivers(cli: DockerCli, api: RawHttp) -> None:
    listed = set(api.get("/info")["Plugins"]["Log"])
    assert {"fluentd", "gelf", "journald", "json-file", "local", "syslog"} <= listed
    assert cli.ok("info", "-f", "{{.LoggingDriver}}") == "json-file"
