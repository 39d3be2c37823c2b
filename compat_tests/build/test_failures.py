"""Builds that fail, through buildx: what is said of the step that fails, and of the whole build; both as dockerd has it."""

import re

import pytest

from compat_tests.clients.buildx import Buildx, Outcome

pytestmark = pytest.mark.usefixtures("empty_cache")
FILES = {"a": "a\n", "b": "b\n", "sub/c": "c\n", "ign": "", ".dockerignore": "ign\n"}
STEPS = {
    "copy missing": (
        "FROM busybox\nCOPY x /y",
        'failed to compute cache key: failed to calculate checksum of ref REF::REF: "/x": not found',
    ),
    "copy from missing": (
        "FROM busybox AS o\nRUN true\nFROM busybox\nCOPY --from=o /nope /d",
        'failed to compute cache key: failed to calculate checksum of ref REF::REF: "/nope": not found',
    ),
    "copy from image": ("FROM busybox\nCOPY --from=busybox /nope /d", "lstat /nope: no such file or directory"),
    "mount missing": (
        "FROM busybox\nRUN --mount=source=nope,target=/n true",
        'failed to compute cache key: failed to calculate checksum of ref REF::REF: "/nope": not found',
    ),
    "mount from missing": (
        "FROM busybox AS o\nFROM busybox\nRUN --mount=from=o,source=/nope,target=/n true",
        'process "/bin/sh -c true" did not complete successfully: open /nope: no such file or directory',
    ),
    "mount from run missing": (
        "FROM busybox AS o\nRUN echo hi >/x\nFROM busybox\nRUN --mount=from=o,source=/nope,target=/n true",
        'failed to compute cache key: failed to calculate checksum of ref REF::REF: "/nope": not found',
    ),
    "add missing": (
        "FROM busybox\nADD nope /n",
        'failed to compute cache key: failed to calculate checksum of ref REF::REF: "/nope": not found',
    ),
    "run fail": (
        "FROM busybox\nRUN echo hi; exit 3",
        'process "/bin/sh -c echo hi; exit 3" did not complete successfully: exit code: 3',
    ),
    "run fail exec": (
        'FROM busybox\nRUN ["sh","-c","exit 4"]',
        'process "sh -c exit 4" did not complete successfully: exit code: 4',
    ),
    "run nocmd": (
        'FROM busybox\nRUN ["/nope","a b"]',
        'process "/nope a b" did not complete successfully: exit code: 1',
    ),
    "user nobody": (
        "FROM busybox\nUSER nobody-there\nRUN true",
        'process "/bin/sh -c true" did not complete successfully: unable to find user nobody-there: no matching entries in passwd file',
    ),
    "user group": (
        "FROM busybox\nUSER 0:nogroup-there\nRUN true",
        'process "/bin/sh -c true" did not complete successfully: unable to find group nogroup-there: no matching entries in group file',
    ),
    "workdir file": ("FROM busybox\nCOPY a /a\nWORKDIR /a\nRUN true", "mkdir /a: not a directory"),
    "copy over file": ("FROM busybox\nCOPY a /a\nCOPY a /a/b/c", "lstat /a/b: not a directory"),
    "secret missing": ("FROM busybox\nRUN --mount=type=secret,id=foo,required true", "secret foo: not found"),
    "secret env missing": (
        "FROM busybox\nRUN --mount=type=secret,id=foo,env=FOO,required echo $FOO",
        "secret foo: not found",
    ),
    "copy ignored": (
        "FROM busybox\nCOPY ign /x",
        'failed to compute cache key: failed to calculate checksum of ref REF::REF: "/ign": not found',
    ),
    "onbuild fail": (
        "FROM busybox AS p\nONBUILD RUN exit 5\nFROM p\nRUN true",
        'process "/bin/sh -c exit 5" did not complete successfully: exit code: 5',
    ),
    "heredoc fail": (
        "FROM busybox\nRUN <<EOF\necho a\nexit 7\nEOF",
        'process "/bin/sh -c echo a\\nexit 7\\n" did not complete successfully: exit code: 7',
    ),
    "quotes": (
        'FROM busybox\nRUN ["sh","-c","echo \\"a b\\" \'x\'\\texit; false"]',
        'process "sh -c echo \\"a b\\" \'x\'\\texit; false" did not complete successfully: exit code: 1',
    ),
    "copy exclude bad": (
        "FROM busybox\nCOPY --exclude=[ sub /x",
        "failed to compute cache key: failed to calculate checksum of ref REF::REF: invalid excludepatterns: [[]: syntax error in pattern",
    ),
    "copy symlink loop": ("FROM busybox\nRUN ln -s l2 /l1; ln -s l1 /l2\nCOPY a /l1/x", "too many links"),
    "copy below a file": ("FROM busybox\nCOPY a /a\nCOPY a /a/b", "mkdir /a: not a directory"),
    "copy a directory below a file": ("FROM busybox\nCOPY a /a\nCOPY sub /a/b", "mkdir /a: not a directory"),
    "workdir below a file": ("FROM busybox\nCOPY a /a\nWORKDIR /a/b", "lstat /a/b: not a directory"),
    "mount loop": (
        "FROM busybox AS o\nRUN ln -s loop /loop\nFROM o\nRUN --mount=from=o,source=/loop,target=/n true",
        'process "/bin/sh -c true" did not complete successfully: too many links',
    ),
    "user num big": (
        "FROM busybox\nUSER 99999999999\nRUN true",
        'process "/bin/sh -c true" did not complete successfully: uids and gids must be in range 0-2147483647',
    ),
}
DOCKERFILES = {
    "copy from num": ("FROM busybox\nCOPY --from=7 /nope /d", "invalid stage index 7"),
    "copy chmod": (
        "FROM busybox\nCOPY --chmod=9x a /a",
        "invalid chmod parameter: '9x'. it should be octal string and between 0 and 07777",
    ),
    "copy onearg": (
        "FROM busybox\nCOPY a",
        "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
    ),
    "from bad": (
        "FROM Bad:::",
        'failed to parse stage name "Bad:::": invalid reference format: repository name (library/Bad) must be lowercase',
    ),
    "from empty": ("FROM ${X}\nRUN true", "base name (${X}) should not be blank"),
    "unknown instr": (
        "FROM busybox\nRUMN true",
        "dockerfile parse error on line 2: unknown instruction: RUMN (did you mean RUN?)",
    ),
    "nofrom": ("RUN true", "no build stage in current context"),
    "flag unknown": ("FROM busybox\nRUN --nope=1 true", "dockerfile parse error on line 2: unknown flag: --nope"),
    "mount type": ("FROM busybox\nRUN --mount=type=nope,target=/x true", 'unsupported mount type "nope"'),
    "mount notarget": ("FROM busybox\nRUN --mount=type=bind true", 'invalid mount target "/"'),
    "circular2": (
        "FROM busybox AS a\nCOPY --from=b /x /x\nFROM busybox AS b\nCOPY --from=a /x /x",
        "circular dependency detected on stage: a",
    ),
    "heredoc open": ("FROM busybox\nRUN <<EOF\necho hi", "unterminated heredoc"),
    "env bad": ("FROM busybox\nENV A", "ENV must have two arguments"),
    "expose bad": ("FROM busybox\nEXPOSE abc", "invalid containerPort: abc"),
    "healthcheck bad": (
        "FROM busybox\nHEALTHCHECK FOO",
        'dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)',
    ),
    "arg bad": ("FROM busybox\nARG", "dockerfile parse error on line 2: ARG requires at least one argument"),
    "shell bad": (
        "FROM busybox\nSHELL sh",
        "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form",
    ),
    "onbuild from": (
        "FROM busybox\nONBUILD FROM x",
        "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger",
    ),
    "platform bad": (
        "FROM --platform=foo/bar/baz/q busybox",
        'failed to parse platform foo/bar/baz/q: "foo/bar/baz/q": cannot parse platform specifier: invalid argument',
    ),
    "copyjson2": (
        'FROM busybox\nCOPY ["a", 1]',
        "when using JSON array syntax, arrays must be comprised of strings only",
    ),
    "dupstage": (
        "FROM busybox AS a\nFROM busybox AS A\nCOPY --from=a /nope /x",
        "circular dependency detected on stage: a",
    ),
    "mountfromlater": (
        "FROM busybox AS a\nRUN --mount=from=b,target=/x true\nFROM a AS b",
        'cannot mount from stage "b" to "/x", stage needs to be defined before current command',
    ),
    "cache uid": ("FROM busybox\nRUN --mount=type=cache,target=/x,uid=foo true", "invalid value foo for uid"),
    "stagename2": (
        "FROM busybox AS a b",
        "dockerfile parse error on line 1: FROM requires either one or three arguments",
    ),
}


def finally_said(found: Outcome) -> str:
    """The error of the whole build; refs of a build have other names each time."""
    match = re.search(r"^ERROR: (?:failed to build: )?failed to solve: (.*)\Z", found.text, re.DOTALL | re.MULTILINE)
    assert match is not None, found.text
    return nameless(match[1].strip())


def nameless(text: str) -> str:
    return re.sub(r"\b[0-9a-z]{24,25}::[0-9a-z]{24,25}\b", "REF::REF", text)


def said_of_steps(found: Outcome) -> list[str]:
    """The errors of steps but those that were ended because of another's."""
    errors = re.findall(r"^#\d+ ERROR: (.*)$", found.text, re.MULTILINE)
    return [nameless(error) for error in errors if "context canceled" not in error]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_fails(buildx: Buildx, name: str) -> None:
    dockerfile, text = STEPS[name]
    buildx.write({"Dockerfile": f"{dockerfile}\n", **FILES})
    found = buildx.build()
    assert found.code == 1
    assert finally_said(found) == text
    assert said_of_steps(found) == [text.removeprefix("failed to compute cache key: ")]
    assert "\nDockerfile:" in found.text, "the lines of the step are shown"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_that_is_wrong(buildx: Buildx, name: str) -> None:
    dockerfile, text = DOCKERFILES[name]
    buildx.write({"Dockerfile": f"{dockerfile}\n", **FILES})
    found = buildx.build()
    assert found.code == 1
    assert finally_said(found) == text
    assert said_of_steps(found) == []


def test_other_options(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox AS abc\n"})
    assert finally_said(buildx.build("--target=abd")) == 'target stage "abd" could not be found (did you mean abc?)'
    absent = f"{buildx.directory}/Nope"
    assert "failed to read dockerfile: open Nope: no such file or directory" in buildx.build("-f", absent).text


def test_a_failure_ends_what_goes_on_beside_it(buildx: Buildx) -> None:
    slow, quick = "FROM busybox AS slow\nRUN sleep 61\n", "FROM busybox AS quick\nRUN exit 2\n"
    both = "FROM busybox\nCOPY --from=slow / /a\nCOPY --from=quick / /b\n"
    buildx.write({"Dockerfile": slow + quick + both})
    found = buildx.build(timeout=40)
    assert finally_said(found) == 'process "/bin/sh -c exit 2" did not complete successfully: exit code: 2'
    assert found.of("sleep 61") == "CANCELED"


def test_what_earlier_builds_have_used_is_cached(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo first\n"})
    buildx.ok()
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo second\n"})
    found = buildx.ok()
    assert (found.of("FROM docker.io/library/busybox"), found.of("RUN")) == ("CACHED", "DONE")
    found = buildx.ok()
    assert (found.of("FROM docker.io/library/busybox"), found.of("RUN")) == ("DONE", "CACHED")


def test_equal_bases_have_one_name(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox AS x\nRUN echo x\nFROM busybox\nCOPY --from=x /bin/sh /q\n"})
    names = [name for name in buildx.ok().steps if "FROM docker.io" in name]
    assert [name.partition(" FROM")[0] for name in names] == ["[x 1/2]"]
