"""700 create requests, odd ones too, answered as dockerd 28.5 answered them (`recorded/create.json`)."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from engine.core.errors import WharfError
from engine.tests.domain.containers.creation import PEER, Workshop, status_of

RECORDED = json.loads((Path(__file__).parent / "recorded" / "create.json").read_text())
BUSYBOX = RECORDED["base"]["Image"]
RICH = next(c["changed"]["Image"] for c in RECORDED["cases"] if '"rich"' in c["body"] and c["status"] == 201)
MANIFEST = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "size": 405,
    "platform": {"architecture": "amd64", "os": "linux"},
}
IGNORED = {"Id", "Created", "Name", "ResolvConfPath"}
SECTIONS = ("Config", "HostConfig", "NetworkSettings", "State", "Networks")


def flat(value, prefix=""):
    """Return the leaves of an inspect answer by path."""
    result = {}
    for key, item in value.items():
        if isinstance(item, dict) and item and key in SECTIONS:
            result |= flat(item, f"{prefix}{key}.")
        else:
            result[prefix + key] = item
    return result


def normalised(inspected):
    """Return the answer as the recording has it."""
    identifier, name = inspected["Id"], inspected["Name"]
    text = json.dumps(inspected).replace(identifier[:12], "<SHORT>").replace(name, "/<NAME>").replace(PEER, "<PEER>")
    result = json.loads(text)
    for mount in result["Mounts"]:
        if re.fullmatch("[0-9a-f]{64}", mount.get("Name", "")):
            mount["Name"] = "<ANON>"
        if mount["Type"] == "volume":
            mount["Source"] = "<VOLUME>"
        if mount["Type"] == "image":
            mount["Source"] = "<VIEW>"
    result["Mounts"].sort(key=lambda m: m["Destination"])
    (result["HostConfig"]["Links"] or []).sort()  # dockerd shows them in any order
    return flat(result)


def expected(case):
    result = {k: v for k, v in RECORDED["base"].items() if k not in case.get("gone", ())} | case.get("changed", {})
    result["Config.Hostname"] = case.get("changed", {}).get("Config.Hostname", "<SHORT>")
    for mount in result["Mounts"]:
        mount["Source"] = "<VIEW>" if mount["Type"] == "image" else mount["Source"]
    if case["version"] >= "1.48":
        result["ImageManifestDescriptor"] = MANIFEST | {"digest": result["Image"]}
    return result


def unsupported(case):
    """Deliberate differences, and what belongs to other parts."""
    body, message = case["body"], case.get("message", "")
    return (
        "platform=" in case["query"]  # the image store's part
        or message.startswith(("create ", "invalid reference format"))  # the volumes' and the image store's part
        or '"Image":""' in body  # containers without an image: refused
        or '"Image":null' in body
        or "Migrated sysctl" in str(case.get("warnings"))  # the runtime sets them
        or '"Binds": ["/x"]' in body  # dockerd shows an anonymous volume without its name
        or "DNSNames" in body  # inspect fields that a client copied are not shown back
        or '"HostPort": "1-2-3"' in body  # dockerd takes it for a range
        or '["peer:"]' in body  # dockerd loses a link without an alias
        or "wharf/create/" in body
        or "/SRC/../" in body
        or "/SCRATCH/oracle:" in body  # paths of the machine of the recording
        or re.search(r'"(host|none)"}, "NetworkingConfig": {"EndpointsConfig": {"tn1"', body)  # no network of its own
        or '{"": {}}' in body  # a network without a name
        or (case["version"] == "1.43" and '{"tn2": {}}' in body and "MacAddress" in body)
    )


CASES = [c for c in RECORDED["cases"] if not unsupported(c)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['version']}{c['query'][:20]}{c['body'][:80]}")
async def test_create_answers_as_dockerd_does(case, tmp_path):
    for path in ("SRC", "SCRATCH"):
        (tmp_path / path).mkdir()
    (tmp_path / "FILE").touch()
    text = json.dumps(case)
    for path in ("/SRC", "/SCRATCH", "/FILE"):
        text = text.replace(path, f"{tmp_path}{path}")
    case = json.loads(text.replace(f"{tmp_path}/SCRATCH/oracle/data", str(tmp_path / "data")))
    workshop = Workshop(tmp_path, BUSYBOX, RICH)
    await workshop.add_peer(str(tmp_path / "SRC"))
    name = parse_qs(case["query"].removeprefix("?")).get("name", [""])[0]
    version = tuple(int(n) for n in case["version"].split("."))
    try:
        inspected, warnings = await workshop.create(case["body"], version, name)
    except WharfError as error:
        assert (status_of(error), str(error).replace(PEER, "<PEER>")) == (case["status"], case.get("message"))
        assert not workshop.overlay.made and not workshop.volumes.held
        return
    assert case["status"] == 201, case.get("message")
    found = normalised(inspected)
    wanted = {k: v for k, v in expected(case).items() if k not in IGNORED}
    wanted["HostConfig.Links"] = sorted(wanted["HostConfig.Links"] or []) or None
    assert {k: v for k, v in found.items() if k not in IGNORED} == wanted
    assert warnings == case.get("warnings", [])
