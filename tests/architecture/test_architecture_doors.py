import ast
import json
import re
import subprocess
import sys
from fnmatch import fnmatch

import pytest
from source_tree import PACKAGES, ROOT, imported_names, is_below, shipped_files

DOORS = {
    "cryptography": ["deploy/pki/x509_door.py"],
    "dask": ["coordinator/sweep/dask_door.py"],
    "distributed": ["coordinator/sweep/dask_door.py"],
    "lz4": ["node_agent/codecs/lz4_door.py"],
    "matplotlib": ["coordinator/report/*"],
    "moocore": ["partitioner/search/*"],
    "node_agent.wire": [
        "node_agent/wire_*.py",
        "node_agent/client*.py",
        "node_agent/serv*.py",
        "node_agent/dataplane/frame.py",
        "node_agent/dataplane/limits.py",
    ],
    "numba": ["partitioner/search/compiled.py"],
    "onnx": ["partitioner/onnx_io/*"],
    "onnxruntime": ["partitioner/onnx_io/*", "node_agent/host/*"],
    "onnxscript": ["partitioner/onnx_io/torch_door.py"],
    "paramiko": ["deploy/ssh/*"],
    "plotly": ["coordinator/report/*"],
    "psycopg": [],
    "pyarrow": ["coordinator/results/parquet_files.py"],
    "pydantic": ["partitioner/serialize.py", "coordinator/config/*.py"],
    "pydantic_core": ["partitioner/serialize.py", "coordinator/config/*.py"],
    "pymoo": ["partitioner/search/evolutionary/front.py"],
    "pynvml": ["node_agent/host/energy.py"],
    "sqlalchemy": [f"coordinator/results/{name}.py" for name in ("opening", "store", "tables")],
    "sqlite3": ["coordinator/profile_cache/store.py"],
    "torch": ["partitioner/onnx_io/torch_door.py"],
    "torchvision": ["partitioner/onnx_io/torch_door.py"],
    "yaml": ["coordinator/config/document.py"],
    "zstandard": ["node_agent/codecs/zstandard_door.py"],
}

HEAVY = [
    "torch",
    "torchvision",
    "onnx",
    "numba",
    "pymoo",
    "scipy",
    "matplotlib",
    "plotly",
    "pydantic",
    "paramiko",
    "cryptography",
    "pyarrow",
    "rich",
    "sqlalchemy",
    "yaml",
]


@pytest.mark.parametrize("library", DOORS)
def test_each_library_is_imported_by_its_door_only(library: str) -> None:
    elsewhere = [
        name
        for name, tree in shipped_files()
        if any(is_below(imported, library) for imported in imported_names(tree))
        and not any(fnmatch(name, door) for door in DOORS[library])
    ]
    assert elsewhere == []


PICKLING_BASELINE = "benchmarks/_baseline_pickle.py"
"""What others do, to be compared with; its docstring says so."""


def test_no_source_of_ours_uses_an_unsafe_serialisation() -> None:
    unsafe = re.compile(
        r"(?:import|from)\s+\w*pickle\b|\w*pickle\.\w|allow_pickle=True|\bdill\b|\bshelve\b|\bmarshal\b|joblib"
        r"|yaml\.(?:unsafe_|full_)?load\b"
    )
    files = [path for folder in (*PACKAGES, "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
    found = [
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.parent.name != "architecture" and unsafe.search(path.read_text(encoding="utf-8"))
    ]
    assert found == [PICKLING_BASELINE]


def test_nothing_shipped_is_unfinished() -> None:
    unfinished = []
    for name, tree in shipped_files():
        raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
        if any("NotImplementedError" in ast.dump(exc) for exc in raised if exc is not None):
            unfinished.append(name)
        if re.search(r"\b(TODO|FIXME|XXX)\b", (ROOT / name).read_text(encoding="utf-8")):
            unfinished.append(name)
    assert unfinished == []


def modules_loaded_by(*names: str) -> set[str]:
    program = "import importlib, json, sys; [importlib.import_module(n) for n in sys.argv[1:]]; "
    program += "print(json.dumps([*sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", program, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.partition(".")[0] for name in json.loads(run.stdout)}


def test_no_module_of_the_node_loads_a_heavy_library() -> None:
    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name, _ in shipped_files()
        if name.startswith("node_agent/") and not name.endswith("__main__.py")
    ]
    loaded = modules_loaded_by(*names)
    assert loaded & {*HEAVY, "click", "partitioner", "coordinator", "deploy"} == set()
    assert loaded & {"zstandard", "lz4"} == set(), "a node may lack them"


def test_values_load_without_any_library_but_numpy() -> None:
    values = ["graph", "cluster", "profile", "plan", "tensors", "shard", "errors", "codec", "search.result"]
    loaded = modules_loaded_by(*(f"partitioner.{name}" for name in values), "coordinator.measurement")
    assert loaded & {*HEAVY, "onnxruntime", "grpc", "google"} == set()
    assert "numpy" in loaded


def test_messages_and_ports_of_a_node_load_without_transport() -> None:
    loaded = modules_loaded_by("node_agent.api", "node_agent.messages", "node_agent.errors", "node_agent.codecs")
    assert loaded & {"grpc", "google", "onnxruntime", "psutil"} == set()
