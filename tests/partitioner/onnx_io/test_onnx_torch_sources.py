"""Models that come from torch: factories, exported programs, weights of the user's."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_toy_modules
import pytest

from partitioner.errors import ModelError, ModelFileError, UnsupportedModelError
from partitioner.onnx_io import cut_plan, verify_shards


def state_file(path, scale):
    import torch

    module, _ = onnx_toy_modules.build_pair()
    state = {name: torch.full_like(tensor, scale / tensor.numel()) for name, tensor in module.state_dict().items()}
    torch.save(state, path)
    module.load_state_dict(state)
    return module.eval()


def test_factory_with_inputs_gives_what_torch_gives(load, tmp_path):
    import torch

    module = state_file(tmp_path / "w.pt", 20.0)
    model = load("onnx_toy_modules:build_pair", batch=2, weights=tmp_path / "w.pt")
    inputs = model.sample_inputs(0)
    (array,) = model.run_whole(inputs).values()
    with torch.no_grad():
        expected = module(torch.from_numpy(next(iter(inputs.values())))).numpy()
    np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-6)
    for position in range(1, model.graph.n_units):
        assert verify_shards(model, cut_plan(model, [position]), inputs) <= 1e-5


def test_models_of_one_factory_stay_apart_in_the_cache(load, tmp_path):
    for name, scale in (("one.pt", 5.0), ("other.pt", 20.0)):
        state_file(tmp_path / name, scale)
    one, other = (
        load("onnx_toy_modules:build_pair", batch=2, weights=tmp_path / name) for name in ("one.pt", "other.pt")
    )
    inputs = one.sample_inputs(0)
    answers = [next(iter(model.run_whole(inputs).values())) for model in (one, other)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    for model in (one, other):
        assert verify_shards(model, cut_plan(model, [1]), inputs) <= 1e-5
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    load("onnx_toy_modules:build_pair", batch=2, weights=tmp_path / "one.pt")
    assert {path.name for path in (tmp_path / "cache").iterdir()} == kept


def test_seed_decides_the_weights_and_units_bear_the_names_of_modules(load):
    first, again, other = (load("onnx_toy_modules:build_pair", batch=2, seed=seed).graph for seed in (1, 1, 2))
    assert first == again
    assert first.model_sha256 != other.model_sha256
    assert next(unit.name for unit in first.units) == "0"
    assert "2" in {unit.name for unit in first.units}


def test_module_alone_takes_images(load):
    model = load("onnx_toy_modules:build_small", batch=3)
    assert model.graph.spec_of[model.graph.inputs[0]].shape == (3, 3, 224, 224)
    assert model.graph.spec_of[model.graph.outputs[0]].shape == (3, 9)
    assert "Dropout" not in {layer.op for layer in model.graph.layers}


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        ("build_wrong", ModelError, "must return a torch.nn.Module .* not str"),
        ("build_failing", ModelError, "failed: OSError: disk on fire"),
        ("build_dynamic", UnsupportedModelError, "torch cannot export onnx_toy_modules:build_dynamic"),
        ("build_narrow", UnsupportedModelError, r"\[672, 224\] X \[8, 8\].*\(on an input of \(1, 3, 224, 224\): let"),
    ],
)
def test_factories_that_do_not_work_are_named(load, factory, error, message):
    with pytest.raises(error, match=message) as caught:
        load(f"onnx_toy_modules:{factory}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words", "line"),
    [
        ("import json\nraise ValueError('bad config')", "cannot import {}: ValueError: bad config", 2),
        ("def make(: pass", "cannot import {}: SyntaxError: invalid syntax", 1),
        ("import json, absent_library", "cannot import {}: ModuleNotFoundError: No module named 'absent_library'", 1),
        ("def make():\n    raise RuntimeError('no\\nweights')", "failed: RuntimeError: no weights", 2),
        ("import json\ndef make():\n    return json.loads('{')", "failed: JSONDecodeError: Expecting", 3),
    ],
)
def test_what_is_wrong_in_the_code_of_a_factory_is_told_with_its_place(
    load, tmp_path, monkeypatch, *, code, words, line
):
    name = f"factory_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError) as caught:
        load(f"{name}:make")
    assert words.format(name) in str(caught.value)
    assert str(caught.value).endswith(f"({tmp_path / name}.py:{line})")


def test_a_factory_that_cannot_be_exported_leaves_one_line(load, capfd):
    with pytest.raises(UnsupportedModelError):
        load("onnx_toy_modules:build_narrow")
    assert "".join(capfd.readouterr()) == ""


def test_networks_of_torchscript_are_told_from_weights(load, tmp_path):
    import torch

    module, inputs = onnx_toy_modules.build_pair()
    torch.jit.trace(module.eval(), inputs).save(tmp_path / "script.pt")
    with pytest.raises(ModelFileError, match=r"script\.pt holds a network of TorchScript.*export it to \.onnx"):
        load(str(tmp_path / "script.pt"))
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModelFileError, match=r"weights\.pt is read for its weights alone.*--weights"):
        load(str(tmp_path / "weights.pt"))
    with pytest.raises(ModelFileError, match=r"^No such file: .*none\.pt$"):
        load(str(tmp_path / "none.pt"))


def test_batch_must_be_that_of_the_example(load):
    with pytest.raises(ModelError, match="fixed to 2: pass --batch 2"):
        load("onnx_toy_modules:build_pair", batch=3)


def test_program_is_exported_once_and_damage_is_told(load, tmp_path):
    import torch

    module, inputs = onnx_toy_modules.build_pair()
    path = tmp_path / "small.pt2"
    torch.export.save(torch.export.export(module.eval(), inputs), path)
    model = load(str(path), batch=2)
    (array,) = model.run_whole(sample := model.sample_inputs(0)).values()
    with torch.no_grad():
        expected = module(torch.from_numpy(next(iter(sample.values())))).numpy()
    np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-6)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    assert load(str(path), batch=2).graph == model.graph
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()} == before
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelFileError, match=r"not a torch\.export program"):
        load(str(path), batch=2)
    with pytest.raises(ModelFileError, match="No such file"):
        load(str(tmp_path / "absent.pt2"))


def test_weights_that_do_not_fit_or_could_run_code_are_refused(load, tmp_path):
    import torch

    torch.save({"0.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="do not fit onnx_toy_modules:build_pair"):
        load("onnx_toy_modules:build_pair", batch=2, weights=tmp_path / "other.pt")
    torch.save(onnx_toy_modules.build_pair()[0], tmp_path / "module.pt")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07ir")
    for name in ("module.pt", "net.onnx"):
        with pytest.raises(ModelFileError, match=r"not a file of plain weights: write one with torch\.save"):
            load("onnx_toy_modules:build_pair", batch=2, weights=tmp_path / name)
    with pytest.raises(ModelFileError, match=r"Cannot read the weights .*: Is a directory"):
        load("onnx_toy_modules:build_pair", batch=2, weights=tmp_path)
    with pytest.raises(ModelFileError, match="No such weights file"):
        load("onnx_toy_modules:build_pair", batch=2, weights=tmp_path / "absent.pt")


def test_a_cache_that_cannot_be_written_says_what_names_another(load, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(ModelFileError, match=r"Cannot keep the exported model in .*: set XDG_CACHE_HOME to a folder"):
        load("onnx_toy_modules:build_pair", batch=2)


def test_damaged_cache_entry_is_exported_again(load, tmp_path):
    import torch

    module, inputs = onnx_toy_modules.build_pair()
    path = tmp_path / "small.pt2"
    torch.export.save(torch.export.export(module.eval(), inputs), path)
    graph = load(str(path), batch=2).graph
    cache = tmp_path / "cache"
    blob = next(file for file in cache.iterdir() if len(file.name) == 64)
    blob.write_bytes(blob.read_bytes()[:-1])
    assert load(str(path), batch=2).graph == graph
    next(cache.glob("*.onnx")).write_bytes(b"")
    assert load(str(path), batch=2).graph == graph


@pytest.mark.slow
def test_files_load_without_torch_and_export_says_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from partitioner.onnx_io import load_model;"
        f"sys.path.insert(0, {str(Path(onnx_toy_modules.__file__).parent)!r});"
        "from onnx_toy_graphs import chain;"
        f"folder = Path({str(tmp_path)!r});"
        "load_model(chain(folder / 't.onnx'), cache_dir=folder / 'cache');"
        "assert 'torch' not in sys.modules;"
        "load_model('onnx_toy_modules:build_pair', batch=2, cache_dir=folder / 'cache')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
