# SPDX-License-Identifier: MIT
"""app.config: a dict of the application's own, filled as Flask's. Nothing in it configures the server."""

from __future__ import annotations

import errno
import importlib
import json
import os
import types
from typing import IO, Any, Callable, Iterable, Mapping, Optional, Union

_Path = Union[str, "os.PathLike[str]"]


def _imported(path: str) -> Any:
    # A module, or what a module has by that name.
    module, _, name = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ImportError:
        outer = importlib.import_module(module) if module else None
        if outer is None or not hasattr(outer, name):
            raise
        return getattr(outer, name)


class Config(dict[str, Any]):
    """A dict; only keys in capitals are taken from elsewhere. Files are relative to `root_path`."""

    def __init__(self, root_path: _Path, defaults: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(defaults or {})
        self.root_path = os.fspath(root_path)

    def from_mapping(self, mapping: Union[Mapping[str, Any], Iterable[tuple[str, Any]], None] = None,
                     **kwargs: Any) -> bool:
        """The keys in capitals of a mapping or of pairs, and named values."""
        for key, value in dict(mapping or (), **kwargs).items():
            if key.isupper():
                self[key] = value
        return True

    def from_object(self, obj: Any) -> None:
        """The attributes in capitals of an object, a class or a module, or of what "module.name" or "module:name"
        imports."""
        if isinstance(obj, str):
            obj = _imported(obj.replace(":", "."))
        self.from_mapping({key: getattr(obj, key) for key in dir(obj) if key.isupper()})

    def _opened(self, filename: _Path, silent: bool, mode: str = "rb") -> Optional[IO[Any]]:
        try:
            return open(os.path.join(self.root_path, filename), mode, encoding=None if "b" in mode else "utf-8")
        except OSError as exc:
            if silent and exc.errno in (errno.ENOENT, errno.EISDIR, errno.ENOTDIR):
                return None
            raise

    def from_pyfile(self, filename: _Path, silent: bool = False) -> bool:
        """The names in capitals of a Python file. silent: False, and no error, when there is none."""
        file = self._opened(filename, silent)
        if file is None:
            return False
        module = types.ModuleType("config")
        module.__file__ = file.name
        with file:
            exec(compile(file.read(), file.name, "exec"), module.__dict__)
        self.from_object(module)
        return True

    def from_file(self, filename: _Path, load: Callable[[IO[Any]], Mapping[str, Any]], silent: bool = False,
                  text: bool = True) -> bool:
        """The keys in capitals of what `load` reads: json.load, or tomllib.load with text=False."""
        file = self._opened(filename, silent, "r" if text else "rb")
        if file is None:
            return False
        with file:
            return self.from_mapping(load(file))

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """from_pyfile() of the file that an environment variable names."""
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent)
        if silent:
            return False
        raise RuntimeError(f"the environment variable {variable_name!r} is not set: it names the configuration file")

    def from_prefixed_env(self, prefix: str = "FLASK", *, loads: Callable[[str], Any] = json.loads) -> bool:
        """Environment variables: FLASK_A is A, FLASK_B__c is B["c"]; values are JSON, or else text."""
        for name in sorted(name for name in os.environ if name.startswith(prefix + "_")):
            value: Any = os.environ[name]
            try:
                value = loads(value)
            except Exception:  # whatever `loads` raises
                pass
            *outer, last = name[len(prefix) + 1:].split("__")
            here: dict[str, Any] = self
            for part in outer:
                here = here.setdefault(part, {})
            here[last] = value
        return True

    def get_namespace(self, namespace: str, lowercase: bool = True, trim_namespace: bool = True) -> dict[str, Any]:
        """Those whose keys begin with `namespace`."""
        found = {}
        for key, value in self.items():
            if key.startswith(namespace):
                short = key[len(namespace):] if trim_namespace else key
                found[short.lower() if lowercase else short] = value
        return found
