"""Options of log drivers: what they bound, whom they reach, what they say of a container. Errors as dockerd 28.5's."""

import re

import msgspec
import pytest

from engine.core.errors import InvalidParameter
from engine.core.model.container import Container, ContainerConfig, HostConfig, LogConfig
from engine.domain.containers.log_drivers import attributes, drivers, files
from engine.domain.containers.log_drivers.failures import InvalidLogOption
from engine.drivers.logs.forward.address import Address, Tls
from engine.drivers.logs.rotate import LogBounds

MIB = 1 << 20


def container(driver="json-file", **options):
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return Container(
        id="0123456789abcdef" * 4,
        name="web",
        created_at=1_790_000_000_000_000_000,
        image="sha256:" + "ab" * 32,
        path="sh",
        args=["-c", "echo x"],
        config=ContainerConfig(image="busybox:1"),
        host_config=HostConfig(log_config=LogConfig(type=driver, config=named)),
    )


@pytest.mark.parametrize(
    ("driver", "options", "expected"),
    [
        ("json-file", {}, LogBounds(20 * MIB, 5)),
        ("json-file", {"max_size": "40k"}, LogBounds(40_000, 1)),
        ("json-file", {"max_size": "1m", "max_file": "3", "compress": "true"}, LogBounds(1_000_000, 3, True)),
        ("json-file", {"max_file": "9"}, LogBounds(20 * MIB, 9)),
        ("local", {}, LogBounds(20 * MIB, 5, True)),
        ("local", {"max_size": "1m", "max_file": "2", "compress": "false"}, LogBounds(MIB, 2)),
        ("syslog", {}, LogBounds(20 * MIB, 5, True)),
        ("syslog", {"cache_max_size": "1m", "cache_max_file": "2"}, LogBounds(MIB, 2, True)),
        ("syslog", {"cache_max_size": "nonsense"}, LogBounds(20 * MIB, 5, True)),
    ],
)
def test_bounds(driver, options, expected):
    assert files.bounds(container(driver, **options)) == expected


@pytest.mark.parametrize(
    ("config", "readable"),
    [
        (LogConfig(type="json-file"), True),
        (LogConfig(type="none"), False),
        (LogConfig(type="syslog"), True),
        (LogConfig(type="syslog", config={"cache-disabled": "true"}), False),
        (LogConfig(type="journald", config={"cache-disabled": "true"}), True),
    ],
)
def test_what_can_be_read(config, readable):
    assert drivers.is_readable(config) is readable


@pytest.mark.parametrize(
    ("driver", "options", "address", "tls"),
    [
        ("syslog", {"syslog_address": "tcp://h"}, Address("tcp", "h", 514), None),
        ("syslog", {"syslog_address": "udp://[::1]:5"}, Address("udp", "::1", 5), None),
        (
            "syslog",
            {"syslog_address": "tcp+tls://h:6", "syslog_tls_ca_cert": "/ca", "syslog_tls_skip_verify": "false"},
            Address("tls", "h", 6),
            Tls(ca="/ca", skip_verify=True),
        ),
        ("syslog", {"syslog_address": "unixgram:///dev/log"}, Address("unixgram", path="/dev/log"), None),
        ("fluentd", {}, Address("tcp", "127.0.0.1", 24224), None),
        ("fluentd", {"fluentd_address": "h"}, Address("tcp", "h", 24224), None),
        ("fluentd", {"fluentd_address": "tls://h:1"}, Address("tls", "h", 1), Tls()),
        ("fluentd", {"fluentd_address": "unix:///s"}, Address("unix", path="/s"), None),
        ("gelf", {"gelf_address": "udp://h:12201"}, Address("udp", "h", 12201), None),
        ("journald", {}, Address("unixgram", path="/run/systemd/journal/socket"), None),
    ],
)
def test_destinations(driver, options, address, tls):
    found = drivers.destination(container(driver, **options), "host")
    assert (list(found.route.addresses), found.route.tls) == ([address], tls)


def test_files_go_nowhere():
    assert drivers.destination(container(), "host") is None


def test_retries_and_acknowledgements():
    options = {"fluentd_async": "1", "fluentd_request_ack": "true", "fluentd_retry_wait": "250ms"}
    found = drivers.destination(container("fluentd", fluentd_write_timeout="2s", **options), "host")
    assert (found.lazy, found.acknowledged, found.retry_seconds, found.route.write_seconds) == (True, True, 0.25, 2.0)


def test_the_local_syslog_is_looked_for():
    found = drivers.destination(container("syslog"), "host")
    assert [a.path for a in found.route.addresses][:2] == ["/dev/log", "/var/run/syslog"]
    assert found.failure == "Unix syslog delivery error"


def made(config, **own):
    base = container()
    return msgspec.structs.replace(
        base,
        config=msgspec.structs.replace(base.config, **own),
        host_config=HostConfig(log_config=LogConfig(type="json-file", config=config)),
    )


def test_selected_labels_and_variables():
    own = {"labels": {"a": "1", "ab": "2", "c": "x y"}, "env": ["X=1", "Y=a=b", "Z"]}
    options = {"labels": "c,none", "labels-regex": "^ab", "env-regex": "Y|Z"}
    assert attributes.selected(made(options, **own)) == {"c": "x y", "ab": "2", "Y": "a=b"}
    assert attributes.selected(made({"env": "X"}, **own), str.lower) == {"x": "1"}
    assert attributes.details(made({**options, "tag": "{{.Name}}"}, **own)) == "Y=a%3Db,ab=2,c=x+y,tag=web "
    assert attributes.details(made({}, **own)) == " "
    assert attributes.details(made({"tag": "{{"}, **own)) == " "


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("(", "missing closing ): `(`"),
        ("[", "missing closing ]: `[`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    ],
)
def test_wrong_expressions(expression, problem):
    with pytest.raises(ValueError, match=re.escape(f"error parsing regexp: {problem}")):
        attributes.selected(made({"labels-regex": expression}))


def test_a_tag():
    tagged = container(tag="{{.DaemonName}}/{{.ImageName}}/{{.Name}}/{{.ID}}/{{.Command}}/{{.ImageID}}")
    assert attributes.tag(tagged) == "docker/busybox:1/web/0123456789ab/sh -c echo x/sha256:ababa"
    assert attributes.tag(container()) == "0123456789ab"
    assert attributes.tag(container(), "") == ""


def test_the_daemons_own_options():
    drivers.require_valid_defaults(LogConfig(type="nosuch"))
    drivers.require_valid_defaults(LogConfig(type="gelf"))
    with pytest.raises(InvalidLogOption, match="^failed to set log opts: failed to set log opts: unknown log opt 'x' "):
        drivers.require_valid_defaults(LogConfig(type="syslog", config={"x": "1"}))


@pytest.mark.parametrize(
    ("driver", "options", "problem"),
    [
        ("gelf", {"x": "1"}, "gelf-address is a required parameter"),
        ("gelf", {"gelf-address": "udp://h:1", "x": "1"}, 'unknown log opt "x" for gelf log driver'),
        ("local", {"tag": "1"}, "unknown log opt 'tag' for log driver local"),
        ("syslog", {"syslog-address": "unix:///nosuch"}, "stat /nosuch: no such file or directory"),
    ],
)
def test_refused(driver, options, problem):
    with pytest.raises(InvalidParameter) as caught:
        drivers.require_valid_logging(LogConfig(type=driver, config=options))
    assert str(caught.value) == problem


def test_none_takes_anything():
    drivers.require_valid_logging(LogConfig(type="none", config={"mode": "x"}))
