"""Overlay mounts of real layers. Needs root."""

import os
from pathlib import Path

import pytest

from engine.drivers.storage import overlay_mount as module
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.overlay import OverlayDriver

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


@pytest.fixture
def layers(tmp_path):
    layers = LayerStore(tmp_path / "layers")
    layers.clean()
    return layers


@pytest.fixture
async def overlay(tmp_path, layers):
    overlay = OverlayDriver(tmp_path / "overlay", layers)
    await overlay.start()
    yield overlay
    for container_id in overlay.all():
        await overlay.remove(container_id)
    await overlay.close()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def chains(layers, count):
    made = []
    for number in range(count):
        made.append(f"sha256:{number:064x}")
        tree = layers.begin(made[-1])
        (tree / f"file{number}").write_text(str(number))
        (tree / "top").write_text(str(number))
        layers.commit(made[-1], tree, 1)
    return made


@pytest.mark.parametrize("count", [0, 1, 127])
@pytest.mark.parametrize("new_api", [True, False])
async def test_mounts(overlay, layers, monkeypatch, count, new_api):
    if not new_api:

        def refuse(*_):
            raise OSError(22, "no")

        monkeypatch.setattr(module, "_configure", refuse)
        monkeypatch.setattr(module, "_takes_single_layers", lambda _: False)
    await overlay.create("c", chains(layers, count))
    tree = await overlay.mount("c")
    assert await overlay.mount("c") == tree
    assert len([path for path in tree.iterdir() if path.name.startswith("file")]) == count
    if count:
        assert (tree / "top").read_text() == str(count - 1)
    (tree / "new").write_text("x")
    assert (overlay.upper("c") / "new").read_text() == "x"
    await overlay.unmount("c")
    await overlay.unmount("c")
    assert not os.path.ismount(tree)
    await overlay.mount("c")
    assert (tree / "new").exists()


async def test_the_root_has_the_image_s_owner(overlay, layers):
    made = chains(layers, 1)
    os.chown(layers.path(made[0]), 5, 6)
    await overlay.create("c", made)
    tree = await overlay.mount("c")
    assert (tree.stat().st_uid, tree.stat().st_gid, tree.stat().st_mode & 0o777) == (5, 6, 0o755)


async def test_removal_follows_no_link_and_leaves_nothing(overlay, layers, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").write_text("x")
    await overlay.create("c", chains(layers, 2))
    tree = await overlay.mount("c")
    (tree / "link").symlink_to(tmp_path / "outside")
    (tree / "deep/er").mkdir(parents=True)
    (tree / "top").unlink()
    await overlay.remove("c")
    await overlay.remove("c")
    assert overlay.all() == []
    await overlay.close()
    assert (tmp_path / "outside/kept").exists()
    assert not [p for p in (tmp_path / "overlay").iterdir() if p.name.startswith(".removed")]


async def test_half_done_removals_are_finished_at_the_next_start(tmp_path, overlay, layers):
    (tmp_path / "overlay/.removed-1/upper").mkdir(parents=True)
    again = OverlayDriver(tmp_path / "overlay", layers)
    await again.start()
    await again.close()
    assert not (tmp_path / "overlay/.removed-1").exists()


async def test_a_missing_layer_is_an_error_with_its_name(overlay):
    with pytest.raises(OSError):
        await overlay.create("c", ["sha256:" + "f" * 64])
