"""What an engine must not leave behind: processes, mounts, namespaces, interfaces, rules, cgroups, files."""

import json
import os
import re
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually

_CGROUPS = Path("/sys/fs/cgroup")
_ID = re.compile(r"[0-9a-f]{64}")
# What both engines set once and keep: the policy for packets that nothing lets through, and ways past it.
_KEPT_RULES = re.compile(r":FORWARD DROP|policy drop;|\*raw|table ip6? raw|comment \"?wharf-")
# Grows by itself and belongs to nobody: the daemon's own database, log and pid files, caches of a registry's answers.
_OWN_FILES = re.compile(
    # What builds were, and copies of their clients' directories, which the next build only brings up to date.
    r"/data/build/(history|synced)(/.*)?$|"
    # The data directory once more, as remapped containers see it.
    r"/exec/mapped(/.*)?$|"
    # crun keeps compiled system call filters, one for each profile.
    r"/(data/state\.db(-wal|-shm)?|data/buildkit/.*|data/containerd/.*|exec/containerd/.*|exec/runtime/crun/\.cache.*)$"
)


@dataclass(frozen=True)
class Footprint:
    """What there is of an engine at one moment, each item as a readable line."""

    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    rules: frozenset[str]
    cgroups: frozenset[str]
    files: frozenset[str]

    def beyond(self, before: "Footprint") -> dict[str, list[str]]:
        """What is here and was not there before."""
        new = {part.name: sorted(getattr(self, part.name) - getattr(before, part.name)) for part in fields(self)}
        return {name: items for name, items in new.items() if items}


def footprint(daemon: Daemon) -> Footprint:
    """Look at the machine as the engine sees it."""
    return Footprint(
        processes=frozenset(_processes(daemon)),
        mounts=frozenset(mounts(daemon)),
        links=frozenset(_links(daemon)),
        rules=frozenset(_rules(daemon)),
        cgroups=frozenset(_cgroups(daemon)),
        files=frozenset(_files(daemon)),
    )


def check(daemon: Daemon, before: Footprint, timeout: float = 10, but: str = "$^") -> None:
    """AssertionError unless, within the time, nothing is left that was not there before and does not match `but`."""
    left: dict[str, list[str]] = {}

    def clean() -> bool:
        left.clear()
        for part, items in footprint(daemon).beyond(before).items():
            if remaining := [item for item in items if not re.search(but, item)]:
                left[part] = remaining
        return not left

    try:
        eventually(clean, timeout, interval=0.25)
    except AssertionError:
        raise AssertionError("left behind: " + json.dumps(left, indent=1)) from None


def _processes(daemon: Daemon) -> list[str]:
    """Monitors and shims by their command line, container processes by the overlay that is their root."""
    marker, here = os.fsencode(str(daemon.state)), _mount_namespace(daemon.namespaces.pid)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == daemon.namespaces.pid:
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            inside = _mount_namespace(int(entry.name)) != here and marker in (entry / "mountinfo").read_bytes()
        except OSError:
            continue
        ours = marker in command and str(daemon.state / "cli").encode() not in command
        if (ours or inside) and int(entry.name) != daemon.pid and not _workers(daemon, entry):
            found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')[:200]}")
    return found


def _workers(daemon: Daemon, entry: Path) -> bool:
    """The daemon's own children of the same program (forked workers) and a managed containerd are no leak."""
    try:
        status = (entry / "stat").read_text().rpartition(")")[2].split()
        name = (entry / "comm").read_text().strip()
    except OSError:
        return True
    return int(status[1]) == daemon.pid and name not in ("conmon", "runc", "crun")


def _mount_namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/mnt")


def mounts(daemon: Daemon) -> list[str]:
    """Mount points below the engine's directories, or of things in them."""
    lines = Path(f"/proc/{daemon.namespaces.pid}/mountinfo").read_text().splitlines()
    targets = [line.split()[4] for line in lines if str(daemon.state) in line]
    # dockerd keeps one namespace file for all containers on the host's network.
    return [target for target in targets if not target.endswith("/netns/default")]


def _links(daemon: Daemon) -> list[str]:
    shown = _output(daemon, ["ip", "-j", "link"])
    return [link["ifname"] for link in json.loads(shown)] if daemon.namespaces.private else _own_links(shown, daemon)


def _own_links(shown: str, daemon: Daemon) -> list[str]:
    """On the machine's own network others work too: only what hangs on our bridge counts, and the bridge."""
    bridge = daemon.options.bridge
    return [link["ifname"] for link in json.loads(shown) if bridge in (link["ifname"], link.get("master"))]


def _rules(daemon: Daemon) -> list[str]:
    found = []
    for argv in (["iptables-save"], ["ip6tables-save"], ["nft", "list", "ruleset"]):
        for line in _output(daemon, argv).splitlines():
            plain = re.sub(r"\[\d+:\d+\]|packets \d+ bytes \d+|# .*", "", line).strip()
            if plain and not _KEPT_RULES.search(plain) and (daemon.namespaces.private or _own_rule(plain, daemon)):
                found.append(f"{argv[0]}: {plain}")
    return found


def _own_rule(line: str, daemon: Daemon) -> bool:
    prefix = daemon.options.bip.rpartition(".")[0] + "."
    return prefix in line or bool(daemon.options.bridge and daemon.options.bridge in line)


def _cgroups(daemon: Daemon) -> list[str]:
    """Directories named after a container that the engine has or had: every 64-digit name counts in a test run."""
    known = set(_known_ids(daemon))
    found = []
    for path, names, _ in os.walk(_CGROUPS):
        for name in names:
            match = _ID.search(name)
            if match and match.group() in known:
                found.append(f"{path}/{name}")
    return found


def _known_ids(daemon: Daemon) -> list[str]:
    path = daemon.state / "ids"
    return path.read_text().split() if path.exists() else []


def _files(daemon: Daemon) -> list[str]:
    found = []
    for root in (daemon.data_root, daemon.exec_root):
        for path, names, files in os.walk(root):
            depth = path.count("/") - str(root).count("/")
            if depth >= 4:
                names.clear()
            # The directories that an engine sorts things into come with their first use, and stay.
            found += [f"{path}/{name}" for name in (*(names if depth else ()), *files)]
    if daemon.kind == "dockerd":  # containerd collects its garbage in its own time: only what bears an id counts
        known = _known_ids(daemon)
        return [name for name in found if any(i in name for i in known)]
    return [name for name in found if not _OWN_FILES.search(name)]


def _output(daemon: Daemon, argv: list[str]) -> str:
    """What the command prints inside the engine's network; empty when it is not installed."""
    try:
        return subprocess.run(daemon.namespaces.command(argv), capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
