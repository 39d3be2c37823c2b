"""Which frontend a Dockerfile is written for."""

import pytest

from engine.domain.builder.dockerfile.syntax import UnknownSyntax, require_built_in, syntax_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# syntax=docker/dockerfile:1\nFROM x", "docker/dockerfile:1"),
        ("#SYNTAX = a/b:1 args \nFROM x", "a/b:1"),
        ("\ufeff# syntax=a\n", "a"),
        ("# escape=`\n# syntax=a\nFROM x", "a"),
        ("#!/usr/bin/env x\n# syntax=a\n", "a"),
        ("// syntax=a/b\nwhatever", "a/b"),
        ('{"syntax": "a/b", "more": 1}\n', "a/b"),
        ('{"syntax": 1}', ""),
        ("# a comment\n# syntax=a\nFROM x", ""),
        ("FROM x\n# syntax=a\n", ""),
        ("{", ""),
        ("", ""),
    ],
)
def test_directives(text, found):
    assert syntax_of(text) == found


@pytest.mark.parametrize(
    "image",
    [
        "docker/dockerfile",
        "docker/dockerfile:1",
        "docker/dockerfile:1.7-labs",
        "docker/dockerfile:1.0-experimental",
        "docker/dockerfile-upstream:master",
        "docker.io/docker/dockerfile:1.4",
        "index.docker.io/docker/dockerfile:1",
        f"docker/dockerfile:1@sha256:{'a' * 64}",
        "registry.example.com:5000/docker/dockerfile:1",
        "registry.example.com/proxy/docker/dockerfile:1",
    ],
)
def test_what_is_built_in(image):
    require_built_in(image)


@pytest.mark.parametrize(
    "image", ["", "ghcr.io/x/y:1", "docker/dockerfile-other", "dockerfile", "A/B", "x.io/notdocker/dockerfile"]
)
def test_what_is_not(image):
    with pytest.raises(UnknownSyntax, match=f"frontend {image} is not supported: only docker/dockerfile is built in"):
        require_built_in(image)
