"""Which operations have the same key."""

from dataclasses import replace

import pytest

from engine.core.model.image import Platform
from engine.domain.builder.llb.ops import CopyAction, ExecOp, FileAction, FileOp, Meta, Mount, MountType, Vertex
from engine.domain.builder.solver import keys
from engine.tests.domain.builder.graphs import copy, run, source


def key(edge, *inputs):
    return keys.key_of(edge.vertex, inputs)


def test_equal_operations_have_equal_keys():
    assert key(run(source(), "a"), "i") == key(run(source("other"), "a"), "i")
    assert key(run(source(), "a"), "i") == key(run(source(), "a", custom_name="name", ignore_cache=True), "i")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (run(source(), "a"), run(source(), "b")),
        (copy(source(), source()), copy(source(), source(), "/b")),
    ],
)
def test_different_operations_have_different_keys(first, second):
    assert key(first, "i", "j") != key(second, "i", "j")


def test_inputs_and_platform_count():
    vertex = run(source(), "a").vertex
    assert keys.key_of(vertex, ["i"]) != keys.key_of(vertex, ["j"])
    assert keys.key_of(vertex, ["i"]) != keys.key_of(replace(vertex, platform=Platform(architecture="arm64")), ["i"])


def test_proxies_do_not_count():
    with_proxy = ExecOp(Meta(("a",), proxy_env={"http_proxy": "x"}), (Mount("/", 0, 0),))
    without = ExecOp(Meta(("a",)), (Mount("/", 0, 0),))
    assert keys.key_of(Vertex(with_proxy), []) == keys.key_of(Vertex(without), [])


def test_where_a_copied_file_lies_does_not_count():
    assert key(copy(source(), source(), "/x/a"), "i", "c") == key(copy(source(), source(), "/y/a"), "i", "c")


def test_outputs_have_keys_of_their_own():
    assert keys.output_key("k", 0) == "k"
    assert len({keys.output_key("k", n) for n in range(3)}) == 3


def test_the_content_of_what_is_copied_counts():
    selections = keys.content_selections(copy(source(), source(), "/x").vertex)
    assert {number: [s["path"] for s in found] for number, found in selections.items()} == {1: ["/x"]}


def test_what_is_copied_into_itself_counts_by_its_key():
    action = FileAction(CopyAction("/a", "/b"), input=0, secondary_input=0, output=0)
    assert keys.content_selections(Vertex(FileOp((action,)), (source(),))) == {}


@pytest.mark.parametrize(
    ("mount", "counted"),
    [
        (Mount("/x", input=1, readonly=True), True),
        (Mount("/x", input=1, output=-1), True),
        (Mount("/x", input=1, output=1), False),
        (Mount("/x", input=1, output=1, readonly=True), True),
        (Mount("/x", input=1, kind=MountType.CACHE), False),
    ],
)
def test_the_content_of_what_a_command_only_looks_at_counts(mount, counted):
    assert (1 in keys.content_selections(run(source(), "a", mount, inputs=(source(),)).vertex)) is counted


def test_the_root_of_a_command_counts_by_its_key():
    operation = ExecOp(Meta(("a",)), (Mount("/", 0, -1, readonly=True),))
    assert keys.content_selections(Vertex(operation, (source(),))) == {}
