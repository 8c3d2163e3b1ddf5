"""Imports go one way: streamlit_app -> app -> tokenlearner, and inside the library from the engine down."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

FRONT_END = ("streamlit", "plotly", "app", "streamlit_app")

ORDER = (
    *("errors", "config", "flops layers media", "model", "weights", "engine"),
    *("analysis", "evaluation", "training", "cli", "__main__"),
)
"""Parts of the library; each may import those named before it (and parts that are not named here)."""

RANK = {part: rank for rank, parts in enumerate(ORDER) for part in parts.split()}


def modules_in(package: Path) -> list[str]:
    """Dotted names of all modules of a package, its command-line entry aside, which runs when imported."""
    paths = (path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py"))
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    return sorted(names - {f"{package.name}.__main__"})


def loaded_by(modules: Iterable[str], watched: Iterable[str], root: Path) -> set[str]:
    """Which of the watched packages a fresh interpreter holds after importing `modules`."""
    code = (
        "import importlib, sys\n"
        f"for name in {list(modules)!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {list(watched)!r} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def imported_by(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, functions and type checking included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_graph(package: Path) -> dict[str, set[str]]:
    """Which parts (files or folders at the top of the package) each part imports."""
    parts = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    graph: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        part = path.relative_to(package).with_suffix("").parts[0]
        names = (name.split(".") for name in imported_by(path))
        found = {name[1] for name in names if name[0] == package.name and len(name) > 1}
        graph.setdefault(part, set()).update(found & parts - {part})
    return graph


def pointing_back(graph: dict[str, set[str]]) -> list[str]:
    return [
        f"{part} imports {other}"
        for part, others in graph.items()
        for other in sorted(others)
        if part in RANK and other in RANK and RANK[other] >= RANK[part]
    ]


def test_the_library_does_not_load_the_front_end(repository: Path) -> None:
    assert loaded_by(modules_in(repository / "tokenlearner"), FRONT_END, repository) == set()


@pytest.mark.parametrize("name", ["streamlit", "plotly"])
def test_the_check_for_the_front_end_can_fail(tmp_path: Path, name: str) -> None:
    package = tmp_path / "planted"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "deep" / "__init__.py").write_text(f"import {name}\n")
    assert modules_in(package) == ["planted", "planted.deep"]
    assert name in loaded_by(modules_in(package), FRONT_END, tmp_path)


@pytest.mark.parametrize("part", ["config", "errors", "flops", "cli.flops", "media"])
def test_what_needs_no_torch_does_not_load_it(repository: Path, part: str) -> None:
    modules = [
        name for name in modules_in(repository / "tokenlearner") if f"{name}.".startswith(f"tokenlearner.{part}.")
    ]
    assert modules
    assert loaded_by(modules, ("torch", "timm", "torchvision"), repository) == set()


@pytest.mark.parametrize("part", ["config", "errors", "flops"])
def test_configuration_and_compute_need_the_standard_library_alone(repository: Path, part: str) -> None:
    names = {name.split(".")[0] for name in imported_by(repository / "tokenlearner" / f"{part}.py")}
    assert names <= {*sys.stdlib_module_names, "tokenlearner"}


def test_the_check_for_torch_can_fail(repository: Path) -> None:
    assert "torch" in loaded_by(["tokenlearner.model"], ("torch",), repository)


def test_nothing_inside_the_library_points_back(repository: Path) -> None:
    assert pointing_back(part_graph(repository / "tokenlearner")) == []


def test_no_parts_of_the_library_import_each_other_in_a_circle(repository: Path) -> None:
    graphlib.TopologicalSorter(part_graph(repository / "tokenlearner")).prepare()


def test_the_checks_of_direction_can_fail(tmp_path: Path) -> None:
    package = tmp_path / "planted"
    (package / "engine").mkdir(parents=True)
    (package / "model.py").write_text("def late():\n    from planted.engine import run\n")
    (package / "engine" / "run.py").write_text("import planted.model\n")
    graph = part_graph(package)
    assert pointing_back(graph) == ["model imports engine"]
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(graph).prepare()


def test_the_app_does_not_import_its_entry_point(repository: Path) -> None:
    names = {name.split(".")[0] for path in (repository / "app").rglob("*.py") for name in imported_by(path)}
    assert "streamlit_app" not in names
