"""Users and groups; the table is what dockerd 28.5 handed to runc for the same account files."""

import pytest

from engine.domain.containers.users import IdOutOfRange, UnableToFindGroup, UnableToFindUser, resolve_user

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
bob:x:1001:2001:bob:/home/bob:/bin/sh
num:x:1002:2002::/n:/bin/sh
1003:x:5000:5000::/five:/bin/sh
badline
x:y:z
neg:x:-5:7::/:
"""
GROUP = b"""root:x:0:
wheel:x:10:bob,root
adm:x:20:bob
users:x:2001:
bobs:x:3000:x,bob,y
bad
77:x:8000:
"""
BOBS = (2001, 10, 20, 3000)


@pytest.mark.parametrize(
    ("user", "add", "uid", "gid", "groups"),
    [
        ("", (), 0, 0, (0, 10)),
        ("root", (), 0, 0, (0, 10)),
        ("bob", (), 1001, 2001, BOBS),
        ("bob:adm", (), 1001, 20, (20,)),
        ("bob:", (), 1001, 2001, BOBS),
        (":adm", (), 0, 20, (20,)),
        ("1001", (), 1001, 2001, BOBS),
        ("1001:20", (), 1001, 20, (20,)),
        ("1002", (), 1002, 2002, (2002,)),
        ("1003", (), 1003, 0, (0,)),
        ("5000", (), 5000, 5000, (5000,)),
        ("9999", (), 9999, 0, (0,)),
        ("9999:adm", (), 9999, 20, (20,)),
        ("9999:999", (), 9999, 999, (999,)),
        ("77", (), 77, 0, (0,)),
        ("bob:77", (), 1001, 77, (77,)),
        ("bob", ("wheel",), 1001, 2001, (*BOBS, 10)),
        ("bob", ("adm", "99"), 1001, 2001, (*BOBS, 20, 99)),
        ("9999", ("wheel", "10"), 9999, 0, (0, 10)),
        ("+1001", (), 1001, 2001, BOBS),
        ("01001", (), 1001, 2001, BOBS),
    ],
)
def test_as_dockerd_resolves_it(user, add, uid, gid, groups) -> None:
    found = resolve_user(user, PASSWD, GROUP, add)
    assert (found.uid, found.gid, found.additional_gids) == (uid, gid, groups)


@pytest.mark.parametrize(
    ("user", "add", "error", "message"),
    [
        ("nope", (), UnableToFindUser, "unable to find user nope: no matching entries in passwd file"),
        ("bob:nope", (), UnableToFindGroup, "unable to find group nope: no matching entries in group file"),
        ("bob:bobs:x", (), UnableToFindGroup, "unable to find group bobs:x: no matching entries in group file"),
        ("bob", ("nope",), UnableToFindGroup, "unable to find group nope: no matching entries in group file"),
        ("bob", ("",), UnableToFindGroup, "unable to find group : no matching entries in group file"),
        ("-5", (), IdOutOfRange, "uids and gids must be in range 0-2147483647"),
        ("4294967296", (), IdOutOfRange, "uids and gids must be in range 0-2147483647"),
        ("2147483648", (), IdOutOfRange, "uids and gids must be in range 0-2147483647"),
        ("bob", ("-1",), IdOutOfRange, "uids and gids must be in range 0-2147483647"),
        ("neg", (), UnableToFindUser, "unable to find user neg: no matching entries in passwd file"),
    ],
)
def test_refuses_as_dockerd_does(user, add, error, message) -> None:
    with pytest.raises(error) as caught:
        resolve_user(user, PASSWD, GROUP, add)
    assert str(caught.value) == message


def test_homes() -> None:
    assert resolve_user("bob", PASSWD, GROUP).home == "/home/bob"
    assert resolve_user("9999", PASSWD, GROUP).home == "/"
