"""The note of which pass, or which evening, is under way, from which a process that was killed goes on with it."""

from __future__ import annotations

import json
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.session.atomic_file import replace_file, set_aside

OF_A_PASS, OF_AN_EVENING = 'current_pass.json', 'current_evening.json'


class CurrentPass:
    """The note, in the station's state folder.

    Writing is done in two steps, so that a state folder that cannot be written refuses a pass before it has begun.

    Parameters
    ----------
    state_dir : Path
    file : str
        Its name.
    """

    def __init__(self, state_dir: Path, file: str = OF_A_PASS) -> None:
        self._path = state_dir / file
        self._draft = self._path.with_suffix('.new')

    def prepare(self, folder: str, clock: str) -> None:
        """Write the note for a pass that is about to begin.

        Parameters
        ----------
        folder : str
            Name of the session's folder; of an evening that of its journal.
        clock : str
            Identity of the station clock: in another simulated world the pass does not go on.

        Raises
        ------
        StationError
            It cannot be written.
        """
        replace_file(self._draft, json.dumps({'folder': folder, 'clock': clock}) + '\n', parents=True)

    def keep(self) -> None:
        """The pass has begun: let the note count.

        Raises
        ------
        StationError
            It cannot be put in place.
        """
        try:
            self._draft.replace(self._path)
        except OSError as error:
            raise StationError(f'cannot be written: {error.strerror}', where=self._path) from error

    def folder(self, clock: str) -> str:
        """Name of the session's folder to go on with; empty: no pass was under way.

        Raises
        ------
        StationError
            The note cannot be read; a damaged one has got another name, and the next pass is not kept from beginning.
        """
        try:
            noted = json.loads(self._path.read_text(encoding='utf-8'))
            folder, noted_clock = str(noted['folder']), str(noted['clock'])
        except FileNotFoundError:
            return ''
        except OSError as error:
            raise StationError(f'cannot be read: {error.strerror}', where=self._path) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StationError(
                f'is damaged ({error}): what was under way does not go on', where=self._path,
                hint=f'it is kept as {set_aside(self._path).name}',
            ) from error  # fmt: skip
        if noted_clock != clock:
            self.forget()
            return ''
        return folder

    def forget(self) -> None:
        """The pass is over.

        Raises
        ------
        StationError
            The note cannot be deleted.
        """
        try:
            self._draft.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StationError(f'cannot be deleted: {error.strerror}', where=self._path) from error
