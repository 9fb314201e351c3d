"""The one place that downloads: weights by name, into this machine's hub cache."""

from pathlib import Path

from rsclip.backbone.load import cached_weights, hub_files
from rsclip.backbone.names import parse_name
from rsclip.errors import ModelError, RunError

__all__ = ["fetch_weights"]

_ANSWER_SECONDS = 3


def fetch_weights(name: str) -> Path:
    """Download the weights of ARCH/TAG, unless they are here; return their file.

    Raises:
        ModelError: The name is unknown or has nothing to download, or the hub does not answer.
        RunError: The download broke off; what has come stays for the next try.
    """
    parsed = parse_name(name)
    if parsed.kind != "arch" or parsed.tag is None:
        raise ModelError(
            "only ARCH/TAG has weights to download", where=name, remedy="Such as ViT-B-16/openai."
        )
    found = cached_weights(parsed.arch, parsed.tag)
    if found is not None:
        return found
    repository, files = hub_files(parsed.arch, parsed.tag)
    if not repository:
        raise ModelError("open_clip names no hub repository for these weights", where=name)
    file = _first_there(name, repository, files)
    import huggingface_hub

    try:
        return Path(huggingface_hub.hf_hub_download(repository, file))
    except (OSError, ValueError) as error:
        raise RunError(
            f"the download broke off ({_first_line(error)})",
            where=name,
            remedy="Run it again: it goes on where it stopped.",
        ) from error


def _first_there(name: str, repository: str, files: list[str]) -> str:
    """Ask the hub once per file, briefly: its own retries go on for most of a minute offline."""
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    for file in files:
        try:
            get_hf_file_metadata(hf_hub_url(repository, file), timeout=_ANSWER_SECONDS)
        except errors.EntryNotFoundError:
            continue
        except Exception as error:
            raise ModelError(
                f"the model hub does not answer ({_first_line(error)})",
                where=name,
                remedy="Without network: fetch on another machine and copy the hub cache, or give "
                "a local file with --weights, or use --model nano.",
            ) from error
        return file
    raise ModelError(f"the repository {repository} holds none of {', '.join(files)}", where=name)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
