"""Archives made to reach outside, or to harm (reference/attacks.md 9 to 11): refused or harmless, never outside."""

import os
import resource
import struct
import zlib

import pytest
import zstandard

from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.linux.removal import remove_tree
from engine.tests.drivers.confine.archive import extract, member, tar

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes and trusted attributes")


@pytest.fixture
def outside(tmp_path):
    """A directory beside the tree, with a file that must stay as it is."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_text("untouched")
    return directory


@pytest.fixture
def tree(tmp_path, outside):
    directory = tmp_path / "tree"
    directory.mkdir()
    yield directory
    assert [entry.name for entry in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "untouched"
    assert (outside / "secret").stat().st_nlink == 1


@pytest.mark.parametrize("name", ["../outside/new", "a/../../outside/new", "../outside/.wh.secret", "a/b/../../.."])
def test_names_that_climb_out_are_refused(tree, name):
    with pytest.raises(ArchiveRefused, match="leads outside the tree"):
        extract(tar(member("a/", kind="dir"), member(name, b"x")), tree)


def test_absolute_names_are_names_in_the_tree(tree, outside):
    extract(tar(member(f"{outside}/secret", b"mine")), tree)
    assert (tree / str(outside)[1:] / "secret").read_text() == "mine"


def test_an_absolute_link_on_the_way_leads_into_the_tree(tree, outside):
    extract(tar(member("x", kind="symlink", link=str(outside)), member("x/secret", b"mine")), tree)
    assert (tree / str(outside)[1:] / "secret").read_text() == "mine"


@pytest.mark.parametrize("name", ["x/secret", "x/.wh.secret", "x/.wh..wh..opq", "x/new/deep"])
def test_a_relative_link_that_climbs_out_is_refused(tree, name):
    with pytest.raises(ArchiveRefused, match="leads outside the tree"):
        extract(tar(member("x", kind="symlink", link="../outside"), member(name, b"x")), tree)


def test_a_link_through_a_link_is_refused(tree):
    members = [
        member("d", kind="dir"),
        member("d/up", kind="symlink", link=".."),
        member("y", kind="symlink", link="d/up/../outside"),
        member("y/secret", b"x"),
    ]
    try:
        extract(tar(*members), tree)
    except ArchiveRefused:
        return
    assert not (tree / "outside").is_symlink()


def test_links_in_a_circle_are_refused(tree):
    members = [member("a", kind="symlink", link="b"), member("b", kind="symlink", link="a"), member("a/x", b"x")]
    with pytest.raises(ArchiveRefused, match="too many links"):
        extract(tar(*members), tree)


@pytest.mark.parametrize("target", ["/outside/secret", "outside/secret", "/etc/passwd"])
def test_hard_links_to_what_the_layer_lacks_are_refused(tree, target):
    with pytest.raises(ArchiveRefused):
        extract(tar(member("x", kind="link", link=target)), tree)


def test_hard_links_that_climb_out_are_refused(tree):
    with pytest.raises(ArchiveRefused, match="leads outside"):
        extract(tar(member("x", kind="link", link="../outside/secret")), tree)


def test_hard_links_through_a_link_are_refused(tree):
    members = [member("d", kind="symlink", link="../outside"), member("x", kind="link", link="d/secret")]
    with pytest.raises(ArchiveRefused, match="leads outside"):
        extract(tar(*members), tree)


def test_writing_to_a_link_replaces_it(tree, outside):
    extract(tar(member("x", kind="symlink", link=str(outside / "secret")), member("x", b"mine")), tree)
    assert not (tree / "x").is_symlink()
    assert (tree / "x").read_text() == "mine"


def test_a_directory_over_a_link_replaces_it(tree, outside):
    members = [member("x", kind="symlink", link=str(outside)), member("x", kind="dir"), member("x/secret", b"mine")]
    extract(tar(*members), tree)
    assert (tree / "x" / "secret").read_text() == "mine"


def test_a_hard_link_to_a_symbolic_link_does_not_follow_it(tree, outside):
    members = [member("x", kind="symlink", link=str(outside / "secret")), member("y", kind="link", link="x")]
    extract(tar(*members, member("y", b"mine")), tree)
    assert (tree / "x").is_symlink()


def test_a_file_on_the_way_is_refused(tree):
    with pytest.raises(ArchiveRefused, match="is not a directory"):
        extract(tar(member("a", b"1"), member("a/b", b"2")), tree)


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/.wh..."])
def test_whiteouts_of_no_name_are_refused(tree, name):
    with pytest.raises(ArchiveRefused, match="hides no name"):
        extract(tar(member(name)), tree)


@root_only
def test_overlayfs_attributes_do_not_come_from_an_archive(tree):
    info, data = member("d", kind="dir")
    info.pax_headers = {"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.fine": "yes"}
    extract(tar((info, data)), tree)
    assert os.listxattr(tree / "d") == ["user.fine"]


def header(name=b"x", size=b"00000000000\0", kind=b"0", magic=b"ustar\x0000"):
    block = struct.pack(
        "100s8s8s8s12s12s8sc100s8s247x", name, b"0000644\0", b"0\0", b"0\0", size, b"0\0", b" " * 8, kind, b"", magic
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (b"-0000000001\0", "negative"),
        (b"\xff" * 12, "negative"),
        (b"zzz\0", "not a number"),
        (b"77777777777\0", "unexpected EOF"),
        (b"\x80" + b"\x7f" * 11, "unexpected EOF"),
    ],
)
def test_sizes_that_cannot_be_are_refused(tree, size, message):
    with pytest.raises(ArchiveRefused, match=message):
        extract(header(size=size), tree)


def test_a_wrong_checksum_is_refused(tree):
    block = bytearray(header())
    block[0] ^= 1
    with pytest.raises(ArchiveRefused, match="checksum"):
        extract(bytes(block), tree)


def test_an_unknown_kind_is_refused(tree):
    with pytest.raises(ArchiveRefused, match="unknown kind"):
        extract(header(kind=b"Z") + bytes(1024), tree)


def test_huge_extensions_are_refused(tree):
    huge = header(b"pax", b"00010000000\0", b"x")  # 2 MiB
    with pytest.raises(ArchiveRefused, match="extension too large"):
        extract(huge + bytes(2 << 20), tree)


def test_endless_extensions_are_refused(tree):
    record = b"60000 comment=" + b"x" * (60000 - 15) + b"\n"
    one = header(b"pax", b"%011o\0" % len(record), b"x") + record + bytes(-len(record) % 512)
    with pytest.raises(ArchiveRefused, match="extension too large"):
        extract(one * 40, tree)


@pytest.mark.parametrize("record", [b"5 a=b", b"999 path=x\n", b"0 a=b\n", b"x path=a\n", b"-8 a=b\n", b"10 pathxyz\n"])
def test_damaged_pax_records_are_refused(tree, record):
    one = header(b"pax", b"%011o\0" % len(record), b"x") + record + bytes(-len(record) % 512)
    with pytest.raises(ArchiveRefused, match="PAX record"):
        extract(one + header() + bytes(1024), tree)


def test_names_with_a_zero_byte_or_too_long_are_refused(tree):
    for name in (b"a\0b", b"d/" * 2100 + b"x"):
        record = b"path=" + name + b"\n"
        record = b"%d " % (len(record) + len(str(len(record) + 4)) + 1) + record
        one = header(b"pax", b"%011o\0" % len(record), b"x") + record + bytes(-len(record) % 512)
        with pytest.raises(ArchiveRefused, match="invalid name"):
            extract(one + header() + bytes(1024), tree)


@pytest.mark.parametrize("sparse_map", ["0,5,3,5", "0,99999999", "5,-1", "0,1,2"])
def test_maps_of_sparse_files_that_cannot_be_are_refused(tree, sparse_map):
    info, data = member("s", b"0123456789")
    info.pax_headers = {"GNU.sparse.size": "100", "GNU.sparse.map": sparse_map}
    with pytest.raises(ArchiveRefused):
        extract(tar((info, data)), tree)


def test_a_sparse_file_of_absurd_size_is_an_error(tree):
    info, data = member("s", b"0123456789")
    info.pax_headers = {"GNU.sparse.size": str(1 << 62), "GNU.sparse.map": "0,10"}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # tmpfs would take it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 45, before[1]))
    try:
        with pytest.raises(ArchiveRefused, match="file too large"):
            extract(tar((info, data)), tree)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("cut", [10, 600, 1100])
def test_a_cut_archive_is_refused(tree, cut):
    with pytest.raises(ArchiveRefused, match="unexpected EOF"):
        extract(tar(member("a", b"x" * 5000))[:cut], tree)


def test_a_cut_gzip_stream_is_refused(tree):
    packed = zlib.compress(tar(member("a", os.urandom(5000))), wbits=31)
    with pytest.raises(ArchiveRefused, match="damaged"):
        extract(packed[:-200], tree)


def test_garbage_behind_a_gzip_stream_is_refused(tree):
    with pytest.raises(ArchiveRefused, match="damaged"):
        extract(zlib.compress(tar(member("a")), wbits=31) + b"garbage", tree)


def test_a_wrong_checksum_of_gzip_is_refused(tree):
    packed = bytearray(zlib.compress(tar(member("a")), wbits=31))
    packed[-6] ^= 1
    with pytest.raises(ArchiveRefused, match="damaged"):
        extract(bytes(packed), tree)


def test_a_zstd_window_beyond_all_bounds_is_refused(tree):
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = compressor.compress(tar(member("a", b"x" * 100))) + compressor.flush()
    with pytest.raises(ArchiveRefused, match="damaged"):
        extract(packed, tree)


def test_what_is_no_archive_is_refused(tree):
    with pytest.raises(ArchiveRefused):
        extract(b"hello" * 1000, tree)


def test_many_directories_replaced_again_and_again_end_well(tree):
    members = []
    for _ in range(30):
        members += [member("a", kind="dir"), member("a/b", kind="dir"), member("a/b/c", b"1"), member("a", b"2")]
    extract(tar(*members), tree)
    assert (tree / "a").read_bytes() == b"2"


def test_a_very_deep_tree(tree):
    extract(tar(member("d/" * 1500 + "x", b"deep")), tree)
    here = os.open(tree, os.O_RDONLY)
    for _ in range(1500):
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    assert os.listdir(here) == ["x"]
    os.close(here)
    remove_tree(tree / "d")
