"""A station as the evening hears it: the test plays it, second by second."""

from math import radians

from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.evening.evening import Evening
from qkd_gs.evening.heard import Action, Answer, Ask, Choose, End, Heard
from qkd_gs.evening.journal import new_journal, unfinished_journal
from qkd_gs.evening.sequence import EveningSequence, Status
from qkd_gs.evening.station_steps import StationFiles, StationSteps
from qkd_gs.evening.steps import PREPARATION, Step
from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.node_faults import NodeFault
from qkd_gs.monitoring.readiness import ComingPass, Level, Readiness
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, SessionStatus, Snapshot
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import MountTask, Phase

SITE = load_site('shanghai')
NOW_NS = parse_utc('2018-10-03T14:40:00Z')
DAWN_NS = parse_utc('2018-10-03T18:00:00Z')
CULMINATION_NS = parse_utc('2018-10-03T15:56:42Z')
SECOND, MINUTE = 10**9, 60 * 10**9
COMING = ComingPass('MICIUS', CULMINATION_NS - 300 * SECOND, CULMINATION_NS, CULMINATION_NS + 300 * SECOND, 1.25)
KEY_MADE = KeyProgress(KeyStep.DONE, 'pass-1', True, secret_bits=110_000, qber=0.0145)
BEFORE_THE_PASS = tuple(step for step in PREPARATION if step is not Step.ARM)
SETTINGS = load_yaml(share_path('config', 'station.yaml'), StationSettings)


def pointing(coarse=False, sigma_deg=0.01, utc='2018-10-02T20:00:00Z'):
    return StoredPointing.of(MountModel(IA=0.1), (639.5, 511.5), '20 stars', utc, coarse, (1.0, sigma_deg))


class Station:
    """A station as the evening hears it, with an evening on it; one look a second.

    Attributes
    ----------
    asked : list
        Everything that was asked for.
    answers : dict
        By action: answers that come two looks after the question, oldest first; the last one stays.
    """

    def __init__(self, folder, passes, skip=(), stored=True, settings=SETTINGS):
        self.folder, self.passes = folder, passes
        if stored:
            pointing(coarse=True).save(folder)
        steps = StationSteps(StationFiles(SITE, settings, folder, folder / 'sessions', ('mount', 'scene', 'evening')))
        journal = unfinished_journal(folder, SITE, NOW_NS + SECOND, True) or new_journal(SITE, NOW_NS, DAWN_NS, True)
        self.evening = Evening(journal, lambda now: now.save(folder))
        self.evening.skip(skip)
        self.sequence = EveningSequence(self.evening, steps.perform)
        self.now_ns = NOW_NS
        self.asked, self.told = [], []
        self.answers = {
            Action.CALIBRATE: [Answer('DONE', '20 of 20 stars', {'rms_rad': 15e-6})],
            Action.OBSERVE: [Answer('DONE', 'observed')],
            Action.TRACK: [Answer('DONE', '', {'folder': 'pass-1', 'locked_s': 500.0})],
            Action.PARK: [Answer('DONE')],
        }
        self.level, self.sentence, self.trouble = Level.OK, 'ready', ''
        self.weather, self.task, self.phase, self.session = '', MountTask.NONE, Phase.IDLE, ''
        self.key, self.gps_silent, self.chosen = KEY_MADE, False, None
        self.el_deg = 40.0
        self.dark_ns = 0
        self.focus = ''  # why the calibrator says to focus
        self.answer, self._pending, self._looks = None, None, 0

    def heard(self):
        faults = (NodeFault(self.trouble, ''),) if self.trouble else ()
        calibrator = NodeHealth('calibrator', 0.1, 'active', focus=self.focus)
        nodes = (NodeHealth('mount', 0.1, 'active', faults), calibrator, NodeHealth('scene', None))
        snapshot = Snapshot(
            self.now_ns,
            readiness=Readiness(self.level, self.sentence),
            session=SessionStatus(self.now_ns, self.phase, folder=self.session),
            coming=COMING,
            key=self.key,
            nodes=nodes,
        )
        gps = GpsReading(self.now_ns, self.now_ns // SECOND * SECOND, 31.1263, 121.5424, 25.0, 9, 1e-8)
        mount = MountReading(self.now_ns, 0.0, radians(self.el_deg), 0.0, 0.0, MountMode.HOLD)
        gps = None if self.gps_silent else gps
        return Heard(snapshot, self.weather, self.dark_ns, self.task, gps, mount, 'going', self.answer, self.chosen)

    def take(self, ask):
        """Do what is asked for."""
        self.asked.append(ask)
        if isinstance(ask, Choose):
            self.chosen = self.passes
        elif isinstance(ask, End):
            self._pending, self._looks = Answer('ABORTED', 'aborted by the operator'), 2
        else:
            queue = self.answers[ask.action]
            self._pending, self._looks, self.answer = queue.pop(0) if len(queue) > 1 else queue[0], 2, None
            self.begin(ask.action)

    def begin(self, action):
        self.task = {
            Action.CALIBRATE: MountTask.CALIBRATING,
            Action.OBSERVE: MountTask.MEASURING,
            Action.PARK: MountTask.PARKING,
        }.get(action, MountTask.NONE)
        if action is Action.TRACK:
            self.phase, self.session = Phase.SLEW, 'pass-1'

    def over(self):
        """What moved the mount has ended."""
        arrived = self.answer is None or self.answer.code != 'FAILED'
        if arrived and (self.task is MountTask.PARKING or self.phase is not Phase.IDLE):
            self.el_deg = 0.0
        self.task, self.phase, self.session = MountTask.NONE, Phase.IDLE, ''

    def go(self):
        self.now_ns += SECOND
        if self._pending is not None:
            self._looks -= 1
            if not self._looks:
                self.answer, self._pending = self._pending, None
                self.over()
        heard = self.heard()
        progress = self.sequence.advance(self.now_ns, heard, heard.conditions)
        if progress.ask is not None:
            self.take(progress.ask)
        self.told.append(progress.sentence)
        return progress

    def until(self, done, looks=20_000):
        for _ in range(looks):
            progress = self.go()
            if done(progress):
                return progress
        raise AssertionError(self.told[-5:])

    def to_the_end(self):
        return self.until(lambda now: now.status is not Status.GOES_ON)

    def begun(self, step):
        """Go on until a step is under way."""
        self.until(lambda now: now.step.startswith(str(step)) and now.ended is None)

    def ended(self, step):
        """Go on until a step has ended; its outcome."""
        return self.until(lambda now: now.step.startswith(str(step)) and now.ended is not None).ended

    def state(self, step):
        return next(one for one in self.evening.journal.entries if one.step is step).state

    @property
    def actions(self):
        return [ask.action for ask in self.asked if isinstance(ask, Ask)]

    @property
    def observed(self):
        return [ask.kind for ask in self.asked if isinstance(ask, Ask) and ask.action is Action.OBSERVE]
