"""Rules of the build cache's garbage collection, out of `daemon.json`."""

import pytest

from engine.config.builder import decode
from engine.config.failures import Mismatch
from engine.domain.builder.builds import BuildRequest
from engine.domain.builder.entitlements import Permission, entitlements
from engine.domain.builder.failures import EntitlementRefused
from engine.domain.builder.gc_rules import UnusableRules, rules
from engine.domain.builder.prune import PruneOptions
from engine.tests.domain.builder.graphs import job

_GIB, _HOUR = 2**30, 3600 * 10**9
_DISK = 252 * _GIB + 1


def _rules(section):
    return rules(decode(section, "builder"), lambda: _DISK)


def _sizes(section):
    return [(rule.reserved, rule.max_used, rule.min_free) for rule in _rules(section)]


def test_shares_of_the_disk():
    """The figures are those that dockerd 28.5 shows on such a disk."""
    shares = (26 * 10**9, 202 * 10**9, 51 * 10**9)
    assert _sizes(None) == [(0, 3592570859, 0), shares, shares, shares]
    assert [rule.all for rule in _rules({})] == [False, False, False, True]
    assert [rule.keep_duration // _HOUR for rule in _rules({"gc": {"enabled": True}})] == [48, 1440, 0, 0]


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ({"defaultKeepStorage": "20GB"}, (20 * _GIB, 0, 0)),
        ({"DEFAULTRESERVEDSPACE": "1gb", "defaultKeepStorage": "2gb"}, (_GIB, 0, 0)),
        ({"defaultMaxUsedSpace": "1gb", "defaultMinFreeSpace": "3GiB"}, (0, _GIB, 3 * _GIB)),
    ],
)
def test_sizes_of_the_usual_rules(sizes, found):
    assert _sizes({"gc": sizes})[1:] == [found] * 3


def test_rules_of_ones_own():
    given = [
        {"keepStorage": "10GB", "filter": ["unused-for=-1s", "type = source.local", "shared"]},
        {"all": True, "maxUsedSpace": "1kb", "filter": {"inuse": {"true": True}}, "unknown": 1},
    ]
    first, second = _rules({"gc": {"policy": given}})
    assert first == PruneOptions(filters=["type==source.local,shared"], reserved=10 * _GIB)
    assert second == PruneOptions(all=True, filters=["inuse==true"], max_used=1024)


def test_no_rules():
    assert _rules({"gc": {"policy": []}}) == ()
    assert _rules({"gc": {"enabled": False, "policy": [{"keepStorage": "x"}]}}) == ()


@pytest.mark.parametrize(
    ("collection", "message"),
    [
        ({"defaultKeepStorage": "10%"}, "failed to parse defaultRESERVEDSPACE: invalid size: '10%'"),
        ({"defaultMinFreeSpace": "x"}, "failed to parse defaultMINFREESPACE: invalid size: 'x'"),
        ({"policy": [{"maxUsedSpace": "x"}]}, "failed to parse maxUsedSpace: invalid size: 'x'"),
        ({"policy": [{"filter": ["type=a", "type=b"]}]}, "filters expect only one value"),
        (
            {"policy": [{"filter": ["unused-for=x"]}]},
            '"unused-for" filter expects a duration',
        ),
    ],
)
def test_rules_that_make_no_sense(collection, message):
    with pytest.raises(UnusableRules, match=f"could not get builder GC policy: {message}"):
        _rules({"gc": collection})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ([], "cannot unmarshal array into Go struct field Config.builder of type config.BuilderConfig"),
        ({"gc": {"enabled": "yes"}}, "cannot unmarshal string into Go struct field .enabled of type bool"),
        (
            {"gc": {"policy": {}}},
            r"cannot unmarshal object into Go struct field .policy of type",
        ),
        (
            {"gc": {"policy": [{"keepStorage": 1}]}},
            "cannot unmarshal number into Go struct field .keepStorage",
        ),
    ],
)
def test_values_of_other_types(section, message):
    with pytest.raises(Mismatch, match=message):
        decode(section, "builder")


def test_entitlements():
    assert entitlements(decode(None, "builder")) == {"network.host", "device"}
    section = {"entitlements": {"network-host": False, "security-insecure": True, "device": False}}
    permit, made = Permission(entitlements(decode(section, "builder"))), job()
    permit(BuildRequest("a", entitlements=["security.insecure"]), made)
    assert made.entitlements == {"security.insecure"}
    with pytest.raises(EntitlementRefused, match="network.host is not allowed by build daemon configuration"):
        permit(BuildRequest("a", entitlements=["network.host"]), made)
