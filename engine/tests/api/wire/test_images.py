"""Images' JSON: progress lines, credentials."""

import base64
import json

import pytest

from engine.api.wire.auth import credentials
from engine.api.wire.image_progress import bar, encode_line
from engine.domain.images.progress import Note, Step, Text
from engine.drivers.registry.credentials import ANONYMOUS


class Request:
    """As much of a request as is looked at."""

    def __init__(self, value):
        self.headers = {} if value is None else {"X-Registry-Auth": value}


def test_lines():
    assert encode_line(Note("Pulling from x", "1")) == {"status": "Pulling from x", "id": "1"}
    assert encode_line(Note("Digest: d")) == {"status": "Digest: d"}
    assert encode_line(Text("Loaded image: x\n")) == {"stream": "Loaded image: x\n"}
    assert encode_line(Step("a", "Pulling fs layer")) == {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"}
    done = {"status": "Pull complete", "progressDetail": {"hidecounts": True}, "id": "a"}
    assert encode_line(Step("a", "Pull complete", finished=True)) == done
    assert encode_line(Step("a", "Extracting", 2, units="s"))["progress"] == "2 s"


@pytest.mark.parametrize(
    ("current", "total", "shown"),
    [
        (2097152, 121195182, "[>                                                  ]  2.097MB/121.2MB"),
        (47028072, 47028072, "[==================================================>]  47.03MB/47.03MB"),
        (10485760, 121137747, "[====>                                              ]  10.49MB/121.1MB"),
        (5, 0, "      5B"),
    ],
)
def test_bars_are_those_of_docker(current, total, shown):
    assert bar(current, total) == shown


def test_credentials_in_all_forms():
    value = json.dumps({"Username": "u", "password": "p>>>???", "serveraddress": "s"}).encode()
    for encoded in (
        base64.urlsafe_b64encode(value),
        base64.urlsafe_b64encode(value).rstrip(b"="),
        base64.b64encode(value),
    ):
        found = credentials(Request(encoded.decode()))
        assert (found.username, found.password) == ("u", "p>>>???")
    both = base64.urlsafe_b64encode(json.dumps({"auth": base64.b64encode(b"u:p:q").decode()}).encode()).decode()
    assert credentials(Request(both)).password == "p:q"


@pytest.mark.parametrize("value", [None, "", "e30=", "bnVsbA==", "!!!", "W10=", "//8="])
def test_nothing_is_nobody(value):
    assert credentials(Request(value)) == ANONYMOUS
