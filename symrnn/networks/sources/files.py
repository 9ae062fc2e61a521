# SPDX-License-Identifier: BSD-3-Clause
"""Files of parameters. Reading one never runs code that it contains."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from symrnn.errors import ShapeError, SourceError, SymrnnError
from symrnn.networks.network import Network
from symrnn.networks.sources.options import Options, require_package
from symrnn.networks.sources.state_dicts import load_mapping

__all__ = ["load_file"]


def load_file(path: str | os.PathLike[str], options: Options) -> Network:
    """Return the network that a file holds; see `symrnn.load`.

    Raises:
        SourceError: The file is missing, malformed or of an unknown kind, or it holds
            no network; the message names the file.
        UnsupportedError: A package is needed to read it.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise SourceError(
            f"{path}: unknown suffix {path.suffix!r}; symrnn reads {', '.join(READERS)}"
        )
    with errors_name(path):
        content = reader(path)
        if not isinstance(content, Mapping):
            raise SourceError(
                f"expected a mapping of names to arrays, found {type(content).__name__}"
            )
        return load_mapping(content, options)


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Put the file's name before every message, on one line."""
    try:
        yield
    except (SourceError, ShapeError) as error:
        raise type(error)(f"{path}: {error}") from None
    except (SymrnnError, MemoryError):
        raise
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file") from None
    except Exception as error:
        # Parsers of hostile bytes raise anything; none of it is symrnn's own failure.
        text = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: cannot be read: {text[:200]}") from error


# --- binary files -------------------------------------------------------------------


def _read_pt(path: Path) -> Any:
    import pickle

    torch = require_package("torch", "torch", f"{path}:")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise SourceError(
            "holds more than arrays (a pickled module, perhaps), and unpickling that "
            "could run code; save model.state_dict() instead"
        ) from None
    except RuntimeError as error:
        if "TorchScript" not in str(error):
            raise
        raise SourceError(
            "is a TorchScript archive, which is code; save its state_dict() instead"
        ) from None


def _read_safetensors(path: Path) -> dict[str, Any]:
    safetensors = require_package("safetensors", "files", f"{path}:")
    with safetensors.safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        # NumPy has no bfloat16.
        plain = all(file.get_slice(name).get_dtype() != "BF16" for name in names)
        if plain:
            return {name: file.get_tensor(name) for name in names}
    require_package("torch", "torch", f"{path}: bfloat16")
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in names}


def _read_npz(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        if stream.read(2) not in (b"PK", b"\x93N"):
            # NumPy would take it for a pickle, and advise to allow those.
            raise SourceError("is not an archive of arrays (.npz)")
        stream.seek(0)
        content = np.load(stream, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            raise SourceError("holds a single array; expected an archive of named ones")
        with content:
            return {name: content[name] for name in content.files}


# --- text ---------------------------------------------------------------------------


def _read_json(path: Path) -> Any:
    content = json.loads(
        path.read_text(encoding="utf-8"),
        # As written: exact_array takes decimal strings exactly.
        parse_float=str,
        parse_int=str,
        parse_constant=_not_finite,
        object_pairs_hook=unique_names,
    )
    return _document(content)


def _document(content: Any) -> Any:
    """Mark what has ``"parameters"`` as a document, whose other entries are checked."""
    if isinstance(content, dict) and "parameters" in content:
        return {"cell": None, **content}
    return content


def _not_finite(text: str) -> NoReturn:
    raise SourceError(f"{text} is not a finite number")


def unique_names(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return pairs as a dictionary; a name that occurs twice is refused."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise SourceError(f"the key {key!r} occurs twice")
        found[key] = value
    return found


def _read_yaml(path: Path) -> Any:
    yaml = require_package("yaml", "files", f"{path}:")
    with path.open(encoding="utf-8") as stream:
        return _document(yaml.load(stream, Loader=_exact_yaml_loader(yaml)))


def _exact_yaml_loader(yaml: Any) -> Any:
    """Make a safe loader that keeps numbers as they are written."""

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            # Nested aliases make a few lines stand for billions of numbers.
            if self.check_event(yaml.AliasEvent):
                raise SourceError("YAML aliases are not read; write the values out")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            read = self.construct_object
            return unique_names((read(k, True), read(v, True)) for k, v in node.value)

    def as_written(loader: Any, node: Any) -> Any:
        return loader.construct_scalar(node)

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        return dict(loader.construct_mapping(node))

    # YAML's 010 would be eight, its 1:30 ninety: as text they are ten, and an error.
    Loader.add_constructor("tag:yaml.org,2002:int", as_written)
    Loader.add_constructor("tag:yaml.org,2002:float", as_written)
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return Loader


READERS: dict[str, Callable[[Path], Any]] = {
    ".pt": _read_pt,
    ".pth": _read_pt,
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".json": _read_json,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
}
"""Suffix to reader; a reader returns a mapping of names to arrays, or a document."""
