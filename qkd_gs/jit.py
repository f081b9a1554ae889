"""Numba's `njit` with a cache on disk that holds for installed code, too, and notices every change of a kernel.

Numba's own cache looks at the file of the kernel alone, but what a kernel calls or takes from another module is
compiled into it and stays as it was.  Here a cached kernel is valid for the content of its own module and of every
module of this package that this one imports, directly or not.

In a checkout, compiled kernels lie beside the code, in `__pycache__`.  In an installed package those beside the code
were compiled at installation and are only read: uninstalling leaves nothing behind, and nobody needs to write there.
What else gets compiled (another processor, other argument types) goes into the user's cache folder.  NUMBA_CACHE_DIR
overrides that folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

INSTALLING = 'QKD_GS_INSTALLING'  # set to 1 while the package is being installed: kernels go beside the code
_PACKAGE = Path(__file__).parent
_IMPORT = re.compile(rf'^\s*(?:from|import) {_PACKAGE.name}\.([\w.]+)', re.MULTILINE)


def njit(function: Callable[..., Any] | None = None, *, cache: bool = False, **options: Any) -> Any:
    """`numba.njit`; with `cache`, compiled code is kept on disk as the head of this module says."""

    def compiled(python: Callable[..., Any]) -> Any:
        dispatcher: Any = numba.njit(python, **options)
        if cache and not numba.config.DISABLE_JIT:  # that leaves the plain function
            dispatcher._cache = _KernelCache(python)
        return dispatcher

    return compiled if function is None else compiled(function)


@cache
def content_stamp(module: Path) -> str:
    """Hash of a module of this package and of all modules of the package that it imports, directly or not."""
    found: set[Path] = set()
    waiting = {module}
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= _imported(path) - found
    return hashlib.sha256(b''.join(hashlib.sha256(_content(path)).digest() for path in sorted(found))).hexdigest()


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _imported(path: Path) -> frozenset[Path]:
    """Modules of this package that a module names in its import statements."""
    names = {name.replace('.', '/') for name in _IMPORT.findall(_content(path).decode())}
    files = (_PACKAGE / file for name in names for file in (f'{name}.py', f'{name}/__init__.py'))
    return frozenset(file for file in files if file.exists())


class _KernelCache(NullCache):  # type: ignore[misc]
    """The cache of one kernel, as numba's dispatcher uses it: installed files, only read, and files of its own."""

    def __init__(self, function: Callable[..., Any]) -> None:
        module = Path(function.__code__.co_filename)
        beside = module.parent / '__pycache__'
        user = _user_folder() / hashlib.sha256(str(module.parent).encode()).hexdigest()[:16]
        if os.environ.get(INSTALLING):
            folders = [beside]
        elif numba.config.CACHE_DIR or not _in_checkout():
            folders = [user]
        else:
            folders = [beside, user]
        self._read = NullCache() if beside in folders else _files(function, beside)
        writable = next(filter(_can_be_written, folders), None)
        self._written = NullCache() if writable is None else _files(function, writable)

    @property
    def cache_path(self) -> str | None:
        """Folder in which compiled code is written; None: none."""
        path: str | None = self._written.cache_path
        return path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None."""
        return self._read.load_overload(sig, target_context) or self._written.load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel that was just compiled."""
        self._written.save_overload(sig, data)

    def flush(self) -> None:
        """Forget what was written."""
        self._written.flush()


def _in_checkout() -> bool:
    """Also for `colcon build --symlink-install`, whose files are links to those of the checkout."""
    return (Path(__file__).resolve().parent.parent / 'package.xml').exists()


def _user_folder() -> Path:
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR)
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache', _PACKAGE.name)


@cache
def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _files(function: Callable[..., Any], folder: Path) -> FunctionCache:
    """Numba's cache files of a kernel in a folder."""

    class Implementation(CompileResultCacheImpl):  # type: ignore[misc]
        _locator_classes = (_Place(folder),)

    class Files(FunctionCache):  # type: ignore[misc]
        _impl_class = Implementation

    return Files(function)


class _Place:
    """A locator, numba's interface to where cache files lie and what they are valid for; always of the same folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._py_file, self._line = '', 0

    def from_function(self, py_func: Callable[..., Any], py_file: str) -> _Place:
        """Of one kernel."""
        self._py_file, self._line = py_file, py_func.__code__.co_firstlineno
        return self

    def ensure_cache_path(self) -> None:
        """Create the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """Stamp of the source code that the files are valid for."""
        return content_stamp(Path(self._py_file))

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return str(self._line)
