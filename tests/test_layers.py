"""The layers of the design: imports go only down, and importing the library stays cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import es_randomized

ROOT = Path(es_randomized.__file__).parent

LAYERS = (
    (
        "errors",
        "device_memory",
        "own_folder",
        "settings",
        "rng",
        "hashing",
        "policy",
        "cases",
        "input_kinds",
        "connectivity",
        "perturbed",
        "precision",
        "schedules",
        "compilation",
        "accelerators",
    ),
    ("tasks", "models", "objectives", "references", "strategies"),
    ("config",),
    ("fitness",),
    ("drivers",),
    ("train", "runs", "tracking", "evaluation"),
    ("doctor", "check"),
    ("distributed", "clusters"),
    ("service", "session", "listener", "trials", "scaling"),
    ("report", "paper"),
    ("cli", "__main__"),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path):
    """Full names of everything a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
IMPORTS = {name: sorted(set(imports(path))) for name, path in MODULES.items()}
OWN = {
    name: [full.removeprefix("es_randomized.") for full in found if full.startswith("es_randomized.")]
    for name, found in IMPORTS.items()
}


def level(name):
    """By the top-level name alone: no module is exempt."""
    return LEVELS.get(name.split(".")[0])


def importers(outside):
    """Modules that import the library `outside`."""
    return {name for name, found in IMPORTS.items() if any(f"{full}.".startswith(f"{outside}.") for full in found)}


def test_every_module_has_a_layer():
    assert len(MODULES) > 30
    assert {name.split(".")[0] for name in MODULES if name} <= set(LEVELS)


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_go_only_down(name):
    assert [other for other in OWN[name] if level(other) is None or level(other) > level(name)] == []


@pytest.mark.parametrize(
    ("part", "strangers"),
    [
        ("tasks", ("models", "objectives")),
        ("models", ("tasks", "objectives")),
        ("objectives", ("tasks", "models")),
        ("references", ("tasks", "models", "objectives")),
        ("strategies", ("tasks", "models", "objectives", "fitness")),
        ("fitness", ("strategies",)),
    ],
)
def test_parts_of_one_layer_do_not_know_each_other(part, strangers):
    members = [name for name in MODULES if f"{name}.".startswith(f"{part}.")]
    assert members
    assert [(m, other) for m in members for other in OWN[m] for s in strangers if f"{other}.".startswith(f"{s}.")] == []


def test_only_the_distributed_layer_and_what_connects_to_it_know_ray():
    knowing = importers("ray") | importers("es_randomized.distributed")
    assert "distributed.evaluator" in knowing
    assert [
        name
        for name in knowing
        if name.split(".")[0] not in ("distributed", "clusters", "scaling", "trials", "service", "cli")
    ] == []


def test_what_measures_and_simulates_clusters_leaves_ray_to_the_distributed_layer():
    assert "scaling.instrument" in importers("es_randomized.distributed")
    assert [name for name in importers("ray") if f"{name}.".startswith("scaling.")] == []


def test_nothing_below_the_command_line_imports_it():
    assert [name for name in importers("es_randomized.cli") if name.split(".")[0] not in ("cli", "__main__")] == []


def test_only_strategies_know_evosax():
    knowing = importers("evosax")
    assert "strategies.evosax_algorithm" in knowing
    assert [name for name in knowing if not name.startswith("strategies.")] == []


def test_only_rng_makes_keys():
    makers = [
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("jax.random.fold_in", "jax.random.PRNGKey")
    ]
    assert set(makers) == {"rng"}


IMPORT = """
import sys, time, jax
began = time.process_time()
import es_randomized
print(time.process_time() - began, *({"ray", "evosax", "matplotlib"} & set(sys.modules)))
"""


def test_importing_the_library_is_quick_and_leaves_heavy_libraries_alone():
    # At most a second and a half beyond JAX, of processor time: other programs may keep the machine busy.
    outputs = [subprocess.check_output([sys.executable, "-c", IMPORT], text=True).split() for _ in range(2)]
    assert [heavy for _, *heavy in outputs] == [[], []]
    assert min(float(seconds) for seconds, *_ in outputs) < 1.5, outputs
