"""Running the command line in a test, and what it leaves."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qkd_gs.cli import main
from qkd_gs.share import share_path

ELEMENTS = str(share_path('config', 'elements', 'micius.tle'))
AT = '2018-10-03T15:56:42Z'


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def qkd_gs(*arguments: object, keys: Path | None = None) -> Done:
    """Run a command as its user would, but in this process: an import a call would cost seconds."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.delenv('QKD_GS_KEYS', raising=False)
        if keys is not None:
            patch.setenv('QKD_GS_KEYS', str(keys))
        try:
            status = main([str(word) for word in arguments])
        except SystemExit as stop:  # argparse's own
            status = int(stop.code or 0)
    return Done(status, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Taken:
    """A taken pass."""

    folder: Path
    keys: Path
    result: dict[str, Any]
    stderr: str
