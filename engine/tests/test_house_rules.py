"""The sizes and names of DESIGN section 6, measured on all of the engine's code."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

_ENGINE = Path(__file__).resolve().parent.parent
_FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base", "core_utils"}
_MODULES = sorted(
    path for path in _ENGINE.rglob("*.py") if "tests" not in path.relative_to(_ENGINE).parts and path.stat().st_size
)
_TREES = {path: ast.parse(path.read_text()) for path in _MODULES}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _shown(path: Path, line: int = 0) -> str:
    return f"engine/{path.relative_to(_ENGINE)}" + (f":{line}" if line else "")


def _lines(path: Path) -> int:
    return path.read_text().count("\n")


def _nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST, int]]:
    for path, tree in _TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                size = (node.end_lineno or 0) - node.lineno + 1  # type: ignore[attr-defined]
                yield f"{_shown(path, node.lineno)} {node.name}", node, size  # type: ignore[attr-defined]


def _percentile(sizes: list[int], part: int) -> float:
    return statistics.quantiles(sizes, n=100)[part - 1]


def test_no_function_is_longer_than_50_lines() -> None:
    assert [(name, size) for name, _, size in _nodes(*_FUNCTIONS) if size > 50] == []


def test_functions_are_short() -> None:
    sizes = [size for _, _, size in _nodes(*_FUNCTIONS)]
    assert statistics.median(sizes) <= 8
    assert _percentile(sizes, 95) <= 30


def test_no_class_is_longer_than_250_lines() -> None:
    assert [(name, size) for name, _, size in _nodes(ast.ClassDef) if size > 250] == []


def test_no_module_is_longer_than_500_lines() -> None:
    assert [(_shown(path), _lines(path)) for path in _MODULES if _lines(path) > 500] == []


def test_modules_are_short() -> None:
    assert _percentile([_lines(path) for path in _MODULES], 95) <= 350


def test_names_say_what_a_module_is_for() -> None:
    assert [_shown(path) for path in _MODULES if _FORBIDDEN & {path.stem, *path.relative_to(_ENGINE).parts[:-1]}] == []


@pytest.mark.parametrize("path", _MODULES, ids=_shown)
def test_module_says_what_it_is_for(path: Path) -> None:
    tree = _TREES[path]
    assert ast.get_docstring(tree), "no docstring"
    if path.name == "__init__.py":
        assert len(tree.body) == 1, "code in an __init__"


def test_each_directory_is_a_package() -> None:
    assert [_shown(path) for path in _MODULES if not (path.parent / "__init__.py").exists()] == []


def test_no_import_hides_from_the_linter() -> None:
    assert [name for name, _, _ in _type_checking_blocks()] == []


def _type_checking_blocks() -> Iterator[tuple[str, ast.AST, int]]:
    for path, tree in _TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "TYPE_CHECKING":
                yield _shown(path, node.lineno), node, 1


def test_public_things_have_docstrings() -> None:
    missing = [
        name
        for name, node, _ in _nodes(ast.ClassDef, *_FUNCTIONS)
        if not node.name.startswith("_") and not ast.get_docstring(node) and not _is_inner(node)  # type: ignore[attr-defined]
    ]
    assert missing == []


def _is_inner(node: ast.AST) -> bool:
    return node not in _PUBLIC


_PUBLIC = {
    node
    for tree in _TREES.values()
    for scope in [tree, *(item for item in tree.body if isinstance(item, ast.ClassDef) and item.name[0] != "_")]
    for node in scope.body
}
