"""Values, URLs and templates as Go reads them: the errors are dockerd 28.5's, recorded."""

import pytest

from engine.core.go_template import Template, TemplateError
from engine.core.go_url import parse_url, split_host_port
from engine.core.go_values import parse_bool, parse_duration, parse_int, parse_size, parse_uint

DATA = {"ID": "abcdef", "Name": lambda: "web", "Labels": {"team": "blue", "x": "y"}, "Args": ["a", "b"]}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{.ID}}", "abcdef"),
        ("a-{{ .Name }}/{{.ID}}", "a-web/abcdef"),
        ("x {{- .ID -}} y", "xabcdefy"),
        ("{{/* nothing */}}", ""),
        ("{{ .Name | upper }}", "WEB"),
        ('{{ .Name | printf "%s-%s" "n" }}', "n-web"),
        ('{{printf "%s-%5d|%q|%%" .ID 3 .Name}}', 'abcdef-    3|"web"|%'),
        ("{{if .Labels.team}}T{{else}}F{{end}}", "T"),
        ("{{if .Labels.none}}T{{else}}F{{end}}", "F"),
        ('{{if eq .ID "x"}}1{{else if eq .Name "web"}}2{{else}}3{{end}}!', "2!"),
        ("{{range .Args}}<{{.}}>{{end}}", "<a><b>"),
        ("{{range .Args}}{{$.ID}}{{end}}", "abcdefabcdef"),
        ("{{with .Labels}}{{.team}}{{end}}", "blue"),
        ("{{.Args}} {{.Labels}} {{true}}", "[a b] map[team:blue x:y] true"),
        ("{{.Labels.none}}", "<no value>"),
        ('{{index .Labels "team"}}{{index .Args 1}}', "blueb"),
        ("{{json .Labels}}", '{"team":"blue","x":"y"}'),
        ("{{slice .ID 1 3}}{{len .ID}}", "bc6"),
        ('{{join (split "a.b" ".") "+"}}', "a+b"),
        ("{{if and .ID (not .Labels.none)}}y{{end}}", "y"),
        ("{{truncate .ID 2}}{{pad .Name 1 1}}{{title .Name}}", "ab web Web"),
    ],
)
def test_templates(template, expected):
    assert Template("log-tag", template).render(DATA) == expected


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{.Foo}}", ':2: executing "log-tag" at <.Foo>: can\'t evaluate field Foo in type *logger.Info'),
        ("{{", ": unclosed action"),
        ("{{.ID", ": unclosed action"),
        ("{{foo}}", ': function "foo" not defined'),
        ("{{if .ID}}", ": unexpected EOF"),
        ("{{end}}", ": unexpected {{end}}"),
        ("{{else}}", ": unexpected {{else}}"),
        ("{{}}", ": missing value for command"),
        ("{{if}}{{end}}", ": missing value for if"),
        (
            "{{slice .ID 0 100}}",
            ':2: executing "log-tag" at <slice .ID 0 100>: error calling slice: index out of range: 100',
        ),
    ],
)
def test_wrong_templates(template, problem):
    with pytest.raises(TemplateError) as caught:
        Template("log-tag", template).render(DATA, "*logger.Info")
    assert str(caught.value) == f"template: log-tag:1{problem}"


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (parse_bool, "T", True),
        (parse_bool, "0", False),
        (parse_int, "-3", -3),
        (parse_duration, "1m30s", 90_000_000_000),
        (parse_duration, "-1.5s", -1_500_000_000),
        (parse_duration, "0", 0),
        (parse_size, "1.5m", 1_572_864),
        (parse_size, "10MiB", 10 << 20),
        (parse_size, "1e3", 1000),
    ],
)
def test_values(read, text, expected):
    assert read(text) == expected


def test_decimal_sizes():
    assert parse_size("40k", 1000) == 40_000


@pytest.mark.parametrize(
    ("read", "text", "problem"),
    [
        (parse_bool, "x", 'strconv.ParseBool: parsing "x": invalid syntax'),
        (parse_int, "", 'strconv.Atoi: parsing "": invalid syntax'),
        (parse_uint, "-1", 'strconv.ParseUint: parsing "-1": invalid syntax'),
        (lambda text: parse_uint(text, 16), "70000", 'strconv.ParseUint: parsing "70000": value out of range'),
        (parse_duration, "x", 'time: invalid duration "x"'),
        (parse_duration, "5", 'time: missing unit in duration "5"'),
        (parse_duration, "5x", 'time: unknown unit "x" in duration "5x"'),
        (parse_size, "-1", "invalid size: '-1'"),
        (parse_size, "", "invalid size: ''"),
        (parse_url, "://x", 'parse "://x": missing protocol scheme'),
        (parse_url, "tcp://h:abc", 'parse "tcp://h:abc": invalid port ":abc" after host'),
        (parse_url, "tcp://[::1", "parse \"tcp://[::1\": missing ']' in host"),
        (split_host_port, "h:1:2", "address h:1:2: too many colons in address"),
        (split_host_port, "h", "address h: missing port in address"),
    ],
)
def test_wrong_values(read, text, problem):
    with pytest.raises(ValueError) as caught:
        read(text)
    assert str(caught.value) == problem


def test_urls():
    assert parse_url("tcp+tls://u@h:1/p/q?x=1#f") == ("tcp+tls", "h:1", "/p/q")
    assert parse_url("unix:///a/b") == ("unix", "", "/a/b")
    assert (parse_url("tcp://[::1]:5").hostname, parse_url("tcp://[::1]:5").port) == ("::1", "5")
    assert parse_url("foo").scheme == ""
    assert split_host_port("[::1]:5") == ("::1", "5")
