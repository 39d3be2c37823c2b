"""What is done, in which order, and what is taken from the cache. Trees are names here; nothing is mounted."""

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from engine.domain.builder.cache import BuildCache, CachedLayer
from engine.domain.builder.failures import NotEntitled, VertexFailed
from engine.domain.builder.llb.ops import NetMode
from engine.domain.builder.snapshot import Layer, Snapshot
from engine.domain.builder.solver.flights import Flights
from engine.domain.builder.solver.solver import Solver
from engine.domain.builder.solver.vertex_run import Machinery
from engine.domain.images.catalog import Catalog
from engine.domain.images.garbage import Garbage
from engine.state.store import Store
from engine.tests.domain.builder.graphs import copy, job, run, source, told


class Everything:
    """A store in which all layers and blobs are, or would be."""

    def has(self, chain):
        return chain not in self.gone

    def __init__(self):
        self.gone = set()

    def size(self, chain):
        return 0

    def all(self):
        return []

    async def remove(self, digests):
        return 0


@dataclass
class FakeSnapshots:
    """A tree's content is the names of its layers; `contents` says otherwise by the uppermost name."""

    cache: BuildCache
    contents: dict[str, str] = field(default_factory=dict)
    known: dict[str, Layer] = field(default_factory=dict)

    @property
    def confine(self):
        return self

    def layer(self, name):
        return self.known.setdefault(name, Layer(CachedLayer(id=name, place=name)))

    def of_records(self, ids):
        return Snapshot(tuple(self.layer(each) for each in ids))

    @contextlib.asynccontextmanager
    async def view(self, tree):
        yield Path("/".join(layer.id for layer in tree.layers) or "empty")

    async def fingerprint(self, path, selections):
        return self.contents.get(path.name.rpartition(" ")[0], str(path))

    def seal_soon(self, trees):
        pass


class Parts:
    """Records what is done."""

    def __init__(self, tmp_path):
        self.store = Store(tmp_path / "state.db")
        self.layers = Everything()
        self.layers.remove = self.layers.gone.add
        self.garbage = Garbage(Catalog(self.store), Everything(), self.layers)
        self.cache = BuildCache(self.store, self.garbage, self.layers)
        self.snapshots = FakeSnapshots(self.cache)
        self.done = []
        self.fail = set()
        self.gate = {}
        self.imported = set()
        self.transient = False

    def solver(self):
        machinery = Machinery(
            self.cache, self.snapshots, Flights(), self.garbage, self, lambda scheme: self, lambda operation: self
        )
        return Solver(machinery)

    async def find(self, key, job, report):
        return Snapshot((self.snapshots.layer("imported"),)) if key in self.imported else None

    async def identify(self, work):
        return work.vertex.operation.identifier

    def known(self, work):
        return False

    async def load(self, work):
        name = work.vertex.operation.identifier
        self.done.append(name)
        return Snapshot((self.snapshots.layer(name),))

    async def run(self, work, inputs):
        operation = work.vertex.operation
        name = operation.meta.args[-1] if hasattr(operation, "meta") else f"copy {operation.actions[0].action.src}"
        if name in self.gate:
            await self.gate[name].wait()
        self.done.append(name)
        if name in self.fail:
            raise OSError(f"{name} failed")
        return [inputs[0].with_layer(self.snapshots.layer(f"{name} {len(self.done)}"))]


@pytest.fixture
def parts(tmp_path):
    parts = Parts(tmp_path)
    yield parts
    parts.store.close()


async def solve(parts, edge, **changes):
    parts.done.clear()
    async with job(**changes) as made:
        tree = await parts.solver().solve(edge, made)
        return [layer.id.rpartition(" ")[0] or layer.id for layer in tree.layers], made


async def test_inputs_come_first_and_each_is_made_once(parts):
    base = source()
    left, right = run(base, "left"), run(base, "right")
    await solve(parts, copy(left, right))
    assert sorted(parts.done[:3]) == ["left", "right", "test://base"]
    assert parts.done[-1] == "copy /a"


async def test_the_second_time_nothing_is_done(parts):
    edge = run(run(source(), "one"), "two")
    await solve(parts, edge)
    tree, made = await solve(parts, run(run(source(), "one"), "two"), ref="second")
    assert parts.done == []
    assert tree == ["test://base", "one", "two"]
    assert told(made, "two").cached
    assert told(made, "one").cached


async def test_no_cache_does_everything(parts):
    edge = run(run(source(), "one"), "two")
    await solve(parts, edge)
    await solve(parts, edge, no_cache=True)
    assert parts.done == ["test://base", "one", "two"]


async def test_what_lies_upon_something_ignored_is_done_again(parts):
    await solve(parts, run(run(source(), "one"), "two"))
    await solve(parts, run(run(source(), "one", ignore_cache=True), "two"))
    assert parts.done == ["test://base", "one", "two"]


async def test_a_copy_counts_by_content(parts):
    parts.snapshots.contents = {"made": "same", "changed": "same"}
    await solve(parts, copy(source(), run(source("x"), "made")))
    _, made = await solve(parts, copy(source(), run(source("x"), "changed")))
    assert "changed" in parts.done
    assert "copy /a" not in parts.done
    assert told(made, "copy").cached


async def test_a_stage_whose_copy_is_known_is_not_made(parts):
    edge = copy(source(), run(source("x"), "made"))
    await solve(parts, edge)
    for record in parts.cache.all():
        if record.description.endswith("made"):
            await parts.cache.remove([record])
    await solve(parts, copy(source(), run(source("x"), "made")))
    assert parts.done == []


async def test_stages_are_made_at_the_same_time(parts):
    gates = {"one": asyncio.Event(), "two": asyncio.Event()}
    parts.gate = gates
    below = copy(source(), run(source("x"), "one"), "/one")
    solving = asyncio.ensure_future(solve(parts, copy(below, run(source("y"), "two"), "/two")))
    await asyncio.sleep(0.05)
    gates["two"].set()
    await asyncio.sleep(0.05)
    assert "two" in parts.done
    assert "one" not in parts.done
    gates["one"].set()
    await solving


async def test_a_failure_names_its_vertex(parts):
    parts.fail = {"bad"}
    edge = run(source(), "bad")
    with pytest.raises(VertexFailed, match="bad failed") as caught:
        await solve(parts, run(edge, "never"))
    assert "never" not in parts.done
    assert isinstance(caught.value.cause, OSError)


async def test_what_failed_is_tried_again(parts):
    parts.fail = {"bad"}
    with pytest.raises(VertexFailed):
        await solve(parts, run(source(), "bad"))
    parts.fail = set()
    tree, _ = await solve(parts, run(source(), "bad"))
    assert tree == ["test://base", "bad"]


async def test_equal_steps_of_two_builds_are_done_once(parts):
    parts.gate = {"slow": asyncio.Event()}
    solver = parts.solver()
    async with job("one") as first, job("two") as second:
        both = [asyncio.ensure_future(solver.solve(run(source(), "slow"), each)) for each in (first, second)]
        await asyncio.sleep(0.05)
        parts.gate["slow"].set()
        trees = await asyncio.gather(*both)
    assert parts.done.count("slow") == 1
    assert trees[0] == trees[1]


async def test_the_cache_survives(parts, tmp_path):
    await solve(parts, run(source(), "one"))
    again = BuildCache(parts.store, parts.garbage, parts.layers)
    assert sorted(r.description for r in again.all()) == sorted(r.description for r in parts.cache.all())
    assert again.find(parts.cache.all()[0].key) is not None


async def test_what_a_build_has_is_kept_until_its_end(parts):
    solver = parts.solver()
    async with job("kept") as made:
        await solver.solve(run(source(), "one"), made)
        assert {"test://base", "one 2"} <= parts.garbage.kept["build kept"].chains
    assert "build kept" not in parts.garbage.kept


async def test_what_others_have_made_is_not_made_again(parts):
    edge = run(source(), "one")
    await solve(parts, edge)
    parts.imported = {record.key for record in parts.cache.all()}
    await parts.cache.remove(parts.cache.all())
    tree, made = await solve(parts, run(run(source(), "one"), "two"))
    assert tree == ["imported", "two"]
    assert told(made, "one").cached


@pytest.mark.parametrize(
    ("change", "entitlement"), [({"network": NetMode.HOST}, "network.host"), ({"insecure": True}, "security.insecure")]
)
async def test_what_is_not_for_all_must_be_allowed(parts, change, entitlement):
    plain = run(source(), "make")
    edge = replace(plain, vertex=replace(plain.vertex, operation=replace(plain.vertex.operation, **change)))
    with pytest.raises(NotEntitled, match=f"failed to load LLB: {entitlement} is not allowed"):
        await solve(parts, edge, entitlements=frozenset())
    assert parts.done == []
    await solve(parts, edge, entitlements=frozenset({entitlement}))
