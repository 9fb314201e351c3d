"""A model that the memory does not hold is told in one message."""

import pytest
import torch

from rsclip.errors import RunError
from rsclip.files import data_path
from rsclip.model import load_backbone
from rsclip.model.weights import files, load

TORCH = RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory")
LINUX = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 12582912 bytes. Error code 12 (Cannot allocate memory)"
)


def raising(error):
    def fail(*arguments, **keywords):
        raise error

    return fail


@pytest.mark.parametrize("error", [MemoryError(), TORCH, LINUX])
@pytest.mark.parametrize("place", ["read", "convert", "build"])
def test_memory_that_does_not_suffice_to_load(monkeypatch, error, place):
    if place == "read":
        monkeypatch.setattr("safetensors.torch.load_file", raising(error))
    elif place == "convert":
        monkeypatch.setattr(load, "as_float", raising(error))
    else:
        monkeypatch.setattr("open_clip.model._build_vision_tower", raising(error))
    with pytest.raises(RunError, match="memory of this machine"):
        load_backbone("nano")


@pytest.mark.parametrize("error", [MemoryError(), TORCH, LINUX])
def test_a_torch_file_is_not_called_damaged(monkeypatch, tmp_path, error):
    path = tmp_path / "weights.pt"
    torch.save(files.read_weights(data_path("nano", "open_clip_model.safetensors")), path)
    monkeypatch.setattr(torch, "load", raising(error))
    with pytest.raises(RunError, match="memory of this machine"):
        load_backbone(str(data_path("nano")), path)
