"""Configurations of images as exports complete them."""

import json

import pytest

from engine.core import times
from engine.domain.builder.exporters.image_config import ConfigMalformed, ExportedLayer, patched

T1, T2 = times.parse_rfc3339("2024-01-01T00:00:01Z"), times.parse_rfc3339("2024-01-01T00:00:02Z")
LAYERS = [ExportedLayer("sha256:a", 0), ExportedLayer("sha256:b", T1), ExportedLayer("sha256:c", T2)]


def config(*history, **others):
    plain = {"architecture": "amd64", "os": "linux", "config": {}, "history": list(history)}
    return json.dumps(plain | others).encode()


def read(data):
    return json.loads(data)


def test_layers_get_their_times_and_the_image_that_of_the_last():
    base = {"created": "2020-01-01T00:00:00Z", "created_by": "base"}
    found = read(patched(config(base, {"created_by": "RUN b"}, {"created_by": "COPY c"}), LAYERS, None))
    assert [entry["created"] for entry in found["history"]] == [
        "2020-01-01T00:00:00Z",
        "2024-01-01T00:00:01Z",
        "2024-01-01T00:00:02Z",
    ]
    assert found["created"] == "2024-01-01T00:00:02Z"
    assert found["rootfs"] == {"type": "layers", "diff_ids": ["sha256:a", "sha256:b", "sha256:c"]}


def test_steps_without_a_layer_get_the_time_of_the_one_before():
    base = {"created": "2020-01-01T00:00:00Z", "created_by": "base"}
    empty = {"created_by": "ENV", "empty_layer": True}
    found = read(patched(config(base, empty, {"created_by": "RUN"}, empty), LAYERS[:2], None))
    created = [entry["created"] for entry in found["history"]]
    assert created == ["2020-01-01T00:00:00Z", *["2024-01-01T00:00:01Z"] * 3]


def test_layers_that_nobody_told_of_get_an_entry():
    found = read(patched(config(), LAYERS[1:], None))
    assert [entry["comment"] for entry in found["history"]] == ["buildkit.exporter.image.v0"] * 2


def test_an_epoch_is_the_latest_time():
    old = {"created": "1999-01-01T00:00:00Z"}
    epoch = times.parse_rfc3339("2000-01-01T00:00:00Z")
    found = read(patched(config(old, {"created_by": "RUN"}), LAYERS[:2], epoch))
    assert [entry["created"] for entry in found["history"]] == ["1999-01-01T00:00:00Z", "2000-01-01T00:00:00Z"]
    assert found["created"] == "2000-01-01T00:00:00Z"


def test_what_is_not_known_stays():
    assert read(patched(config(**{"os.version": "1", "x": {"y": [1]}}), [], None))["x"] == {"y": [1]}


def test_no_json():
    with pytest.raises(ConfigMalformed):
        patched(b"[", [], None)
