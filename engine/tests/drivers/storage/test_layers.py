"""Layers come into being and go by one rename."""

import pytest

from engine.drivers.storage.layers import LayerStore

CHAIN = f"sha256:{'a' * 64}"


@pytest.fixture
def layers(tmp_path):
    layers = LayerStore(tmp_path / "layers")
    layers.clean()
    return layers


def add(layers, chain=CHAIN, size=5):
    tree = layers.begin(chain)
    (tree / "file").write_text("x")
    layers.commit(chain, tree, size)


def test_a_layer_appears_at_its_commit(layers, tmp_path):
    tree = layers.begin(CHAIN)
    assert not layers.has(CHAIN) and layers.size(CHAIN) == 0
    layers.commit(CHAIN, tree, 7)
    assert layers.has(CHAIN) and layers.size(CHAIN) == 7 and layers.all() == [CHAIN]
    again = LayerStore(tmp_path / "layers")
    again.clean()
    assert again.size(CHAIN) == 7


def test_what_a_killed_daemon_left_goes_at_the_next_start(layers, tmp_path):
    add(layers)
    (layers.begin(CHAIN) / "half").write_text("x")
    again = LayerStore(tmp_path / "layers")
    again.clean()
    assert [entry.name for entry in (tmp_path / "layers").iterdir()] == ["a" * 64]
    assert again.all() == [CHAIN]


def test_the_first_of_two_is_kept(layers):
    add(layers, size=5)
    tree = layers.begin(CHAIN)
    layers.commit(CHAIN, tree, 9)
    assert (layers.path(CHAIN) / "file").exists() and layers.size(CHAIN) == 5
    assert not tree.exists()


def test_discard_and_remove(layers, tmp_path):
    layers.discard(layers.begin(CHAIN))
    add(layers)
    layers.remove(CHAIN)
    layers.remove(CHAIN)
    assert not layers.has(CHAIN)
    assert list((tmp_path / "layers").iterdir()) == []
