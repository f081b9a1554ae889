"""Two kinds of failure, kept apart: an operator's mistake and a device's fault."""

from __future__ import annotations

import unicodedata
from pathlib import Path


def one_line(text: str) -> str:
    """Text with its control characters and line separators as escapes.

    What a file, a device or a peer has sent stands in sentences: it must neither break them nor reach a terminal.
    """
    if text.isprintable():
        return text
    return ''.join(one if not _breaks(one) else one.encode('unicode_escape').decode() for one in text)


def _breaks(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith('C') or category in ('Zl', 'Zp')


class StationError(ValueError):
    """A request of the user cannot be carried out; `str()` is one clear sentence without a traceback.

    Parameters
    ----------
    what : str
        The error, e.g. ``'checksum of line 2 is 7, not 4'``.
    where : str or Path, optional
        File (and ``:line``), key or option at fault; put in front of the sentence.
    hint : str, optional
        Advice what to do about it; put behind the sentence.
    """

    def __init__(self, what: str, where: str | Path | None = None, hint: str | None = None):
        self.what = what = one_line(what)
        self.where = str(where) if where is not None else None
        self.hint = hint
        sentence = f'{self.where}: {what}' if self.where else what
        super().__init__(one_line(f'{sentence} ({hint})' if hint else sentence))


class DeviceFault(RuntimeError):
    """Equipment failed; the node that owns it goes to its error state.

    Parameters
    ----------
    code : str
        Stable identifier for logs, diagnostics and operators, e.g. ``'mount.following_error'``.
    message : str
        The event, with the measured value and the limit it broke.
    """

    def __init__(self, code: str, message: str):
        super().__init__(one_line(f'{code}: {message}'))
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        """As `pickle` needs it, which would pass the sentence alone: a fault may come from another process."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


def in_words(error: Exception) -> str:
    """Sentence of a failure; of an error of a program also its type."""
    return str(error) if isinstance(error, StationError | DeviceFault) else one_line(f'{type(error).__name__}: {error}')
