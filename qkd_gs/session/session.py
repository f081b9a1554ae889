"""A session's folder as one object: manifest, telemetry and result."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qkd_gs.session.manifest import Manifest, load_manifest
from qkd_gs.session.telemetry import Telemetry, load_telemetry


@dataclass(frozen=True)
class Session:
    """A recorded pass; it holds no secret.  Made by `open_session`.

    Attributes
    ----------
    folder : Path
        Its folder; its bag is read with `qkd_gs.open_bag`.
    manifest : Manifest
        Satellite, site, settings, locked intervals and figures, as ``session.json`` has them.
    """

    folder: Path
    manifest: Manifest

    @cached_property
    def telemetry(self) -> Telemetry:
        """Time series of the pass: int64 times in UTC ns, angles in rad or urad as each name says.

        Raises
        ------
        StationError
            The session has none, or it is damaged.
        """
        return load_telemetry(self.folder)

    @property
    def result(self) -> dict[str, Any] | None:
        """Result as `qkd-gs simulate --json` and `qkd-gs process --json` print it; None before the key is made."""
        return self.manifest.result


def open_session(folder: str | Path) -> Session:
    """Open the folder of a recorded or simulated pass.

    Parameters
    ----------
    folder : str or Path
        With ``session.json`` in it.

    Returns
    -------
    Session
        Its telemetry is read when it is first asked for.

    Raises
    ------
    StationError
        No such folder, not a session, of another schema version, or damaged.

    Examples
    --------
    >>> import qkd_gs
    >>> qkd_gs.open_session('config')
    Traceback (most recent call last):
    ...
    qkd_gs.errors.StationError: config: is not a session (it has no session.json)
    """
    folder = Path(folder)
    return Session(folder, load_manifest(folder))
