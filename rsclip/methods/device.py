"""Devices by name: which of them are here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsclip.errors import DeviceError

if TYPE_CHECKING:
    import torch

__all__ = ["check_device", "parse_device"]


def check_device(text: str) -> None:
    """Refuse what `parse_device` would; auto and cpu, which are everywhere, need no torch.

    Raises:
        DeviceError: See `parse_device`.
    """
    if text not in ("auto", "cpu"):
        parse_device(text)


def parse_device(text: str | torch.device) -> torch.device:
    """Return the device that auto, cpu, cuda, cuda:N or mps stands for.

    "auto" is cuda where there is one, else mps, else cpu.

    Raises:
        DeviceError: No such device, here or anywhere.
    """
    import torch

    text = str(text)
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
    kind, colon, index = text.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdigit())):
        raise DeviceError(
            f"unknown device {text!r}",
            where="--device",
            remedy="Choose auto, cpu, cuda, cuda:N or mps.",
        )
    if kind == "mps" and not _has_mps():
        raise DeviceError("no mps device here", where="--device", remedy="Choose auto or cpu.")
    if kind == "cuda":
        _check_cuda(text, int(index) if colon else 0)
    return torch.device(text)


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _check_cuda(text: str, index: int) -> None:
    import torch

    if not torch.cuda.is_available():
        built = (
            "" if torch.version.cuda or torch.version.hip else ": this torch is built without it"
        )
        raise DeviceError(
            f"no CUDA device here{built}", where="--device", remedy="Choose auto or cpu."
        )
    count = torch.cuda.device_count()
    if index >= count:
        raise DeviceError(
            f"no device {text} here", where="--device", remedy=f"The last one is cuda:{count - 1}."
        )
