"""Compares exported files with what they must give; see runtimes.rs. Usage: check.py FOLDER"""

import importlib
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])


def have(*names):
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"skipped: no Python package {name}")
            return False
    return True


def check_onnx(path, expected):
    import json
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[0] == "batch", session.get_inputs()[0].shape
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["a", "b"]
    images, logits = expected["images"], expected["logits"]
    for n in (1, len(images)):
        (got,) = session.run(["logits"], {"images": images[:n]})
        worst = float(numpy.abs(got - logits[:n]).max())
        assert worst <= 1e-4, f"{path.name}, batch {n}: largest difference {worst}"
    print(f"{path.name}: onnxruntime {onnxruntime.__version__}, largest difference {worst:.1e}, "
          f"largest logit {float(numpy.abs(logits).max()):.2f}")


def check_pth(path, expected):
    import torch

    state = torch.load(path, weights_only=True)
    assert set(state) == set(expected), set(state) ^ set(expected)
    for name, values in expected.items():
        got = state[name]
        assert got.dtype == {"float32": torch.float32, "int64": torch.int64}[str(values.dtype)], name
        assert torch.equal(got, torch.from_numpy(values)), name
    print(f"{path.name}: torch {torch.__version__}, {len(state)} tensors, all equal")


if have("numpy", "safetensors"):
    from safetensors.numpy import load_file

    if have("onnxruntime"):
        for path in sorted(folder.glob("*.onnx")):
            if have("onnx"):
                import onnx

                onnx.checker.check_model(str(path), full_check=True)
            check_onnx(path, load_file(path.with_suffix(".expected.safetensors")))
    if have("torch"):
        for path in sorted(folder.glob("*.pth")):
            check_pth(path, load_file(path.with_suffix(".weights.safetensors")))
