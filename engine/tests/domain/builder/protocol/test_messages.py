"""The compiled descriptors are those of the `.proto` files, and give classes and services."""

import re
from pathlib import Path

import pytest

from engine.domain.builder.protocol import messages

_PROTOS = Path(messages.__file__).parent / "proto"


def test_every_service_of_the_proto_files_is_there() -> None:
    for file in _PROTOS.glob("*.proto"):
        package = re.search(r"^package (\S+);", file.read_text(), re.MULTILINE)
        assert package
        for name in re.findall(r"^service (\w+)", file.read_text(), re.MULTILINE):
            methods = re.findall(r"rpc (\w+)\(", file.read_text().split(f"service {name} ")[1].split("\n}")[0])
            assert list(messages.service(f"{package[1]}.{name}")) == methods


def test_every_message_of_the_proto_files_has_its_fields() -> None:
    for file in _PROTOS.glob("*.proto"):
        text = file.read_text()
        package = re.search(r"^package (\S+);", text, re.MULTILINE)
        assert package
        for name, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            wanted = {
                field: int(number)
                for field, number in re.findall(
                    r" (\w+) = (\d+);", re.sub(r"enum \w+ \{.*?\}", "", body, flags=re.DOTALL)
                )
            }
            made = getattr(messages.Package(package[1]), name)
            assert {field.name: field.number for field in made.DESCRIPTOR.fields} == wanted


def test_a_method_knows_what_goes_each_way() -> None:
    status = messages.service("moby.buildkit.v1.Control")["Status"]
    assert status.path == "/moby.buildkit.v1.Control/Status"
    assert (status.client_streaming, status.server_streaming) == (False, True)
    assert status.request(Ref="x") == messages.control.StatusRequest(Ref="x")


def test_unknown_messages_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match=r"pb has no message Nothing"):
        messages.pb.Nothing  # noqa: B018
