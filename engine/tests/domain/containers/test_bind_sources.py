"""Sources of binds."""

import pytest

from engine.core.model.container import BindOptions, Mount, MountPoint
from engine.domain.containers.bind_sources import ready_bind, require_source
from engine.domain.containers.failures import BindSourceMissing, BindSourceNotMade


def bind(source, **more) -> MountPoint:
    return MountPoint(type="bind", source=str(source), destination="/x", **more)


def test_a_volume_makes_its_source(tmp_path):
    ready_bind(bind(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_mount_needs_its_source(tmp_path):
    spec = Mount(type="bind", source=str(tmp_path / "a"), target="/x")
    with pytest.raises(BindSourceMissing):
        ready_bind(bind(tmp_path / "a", spec=spec))
    with pytest.raises(BindSourceMissing):
        require_source(spec)
    made = Mount(type="bind", source=str(tmp_path / "a"), target="/x", bind_options=BindOptions(create_mountpoint=True))
    require_source(made)
    ready_bind(bind(tmp_path / "a", spec=made))
    assert (tmp_path / "a").is_dir()


def test_a_source_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BindSourceNotMade, match="error while creating mount source path '.*/file/x': mkdir"):
        ready_bind(bind(tmp_path / "file" / "x"))


def test_a_readonly_file_is_not_asked_to_be_recursively_so(tmp_path):
    (tmp_path / "file").touch()
    assert ready_bind(bind(tmp_path / "file", rw=False)).spec.bind_options.read_only_non_recursive
    assert ready_bind(bind(tmp_path, rw=False)).spec is None
    assert ready_bind(bind(tmp_path / "file")).spec is None
