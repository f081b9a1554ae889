"""Objects, states and frames of CiA 301 and CiA 402 that the driver uses."""

from __future__ import annotations

from enum import Enum, IntEnum

# identifiers of frames: base + node id
NMT, SYNC = 0x000, 0x080
EMERGENCY = 0x080
TPDO = (0x180, 0x280, 0x380)
RPDO = (0x200, 0x300)
SDO_ANSWER, SDO_REQUEST = 0x580, 0x600
HEARTBEAT = 0x700

NMT_START, NMT_PRE_OPERATIONAL = 1, 128
OPERATIONAL = 5  # in a heartbeat


class Index(IntEnum):
    """Index of an object."""

    CONSUMER_HEARTBEAT = 0x1016
    PRODUCER_HEARTBEAT = 0x1017
    IDENTITY = 0x1018
    ERROR_BEHAVIOUR = 0x1029
    RPDO_PARAMETERS = 0x1400
    RPDO_MAPPING = 0x1600
    TPDO_PARAMETERS = 0x1800
    TPDO_MAPPING = 0x1A00
    ABORT_CONNECTION_OPTION = 0x6007
    ERROR_CODE = 0x603F
    CONTROLWORD = 0x6040
    STATUSWORD = 0x6041
    QUICK_STOP_OPTION = 0x605A
    MODE = 0x6060
    POSITION = 0x6064
    FOLLOWING_ERROR_WINDOW = 0x6065
    VELOCITY = 0x606C
    TARGET_POSITION = 0x607A
    SOFTWARE_LIMIT = 0x607D
    MAX_PROFILE_VELOCITY = 0x607F
    QUICK_STOP_DECELERATION = 0x6085
    ENCODER_RESOLUTION = 0x608F
    VELOCITY_OFFSET = 0x60B1
    INTERPOLATION_PERIOD = 0x60C2
    MAX_ACCELERATION = 0x60C5
    TARGET_VELOCITY = 0x60FF
    SUPPORTED_MODES = 0x6502


CSP, CSV = 8, 9  # cyclic synchronous position, velocity
MODE_BITS = {CSP: 7, CSV: 8}  # of SUPPORTED_MODES

QUICK_STOP_AND_STAY, QUICK_STOP_AND_OFF = 6, 2  # QUICK_STOP_OPTION
QUICK_STOP = 3  # ABORT_CONNECTION_OPTION
NO_STATE_CHANGE = 1  # ERROR_BEHAVIOUR


class State(Enum):
    """State of a drive: mask and value of the statusword."""

    NOT_READY = (0x4F, 0x00)
    SWITCH_ON_DISABLED = (0x4F, 0x40)
    READY = (0x6F, 0x21)
    SWITCHED_ON = (0x6F, 0x23)
    ENABLED = (0x6F, 0x27)
    QUICK_STOP_ACTIVE = (0x6F, 0x07)
    FAULT_REACTION = (0x4F, 0x0F)
    FAULT = (0x4F, 0x08)


class Control(IntEnum):
    """Commands of the controlword."""

    DISABLE_VOLTAGE = 0x00
    QUICK_STOP = 0x02
    SHUTDOWN = 0x06
    SWITCH_ON = 0x07
    ENABLE = 0x0F
    FAULT_RESET = 0x80


TOWARDS_ENABLED = {
    State.SWITCH_ON_DISABLED: Control.SHUTDOWN,
    State.READY: Control.SWITCH_ON,
    State.SWITCHED_ON: Control.ENABLE,
    State.QUICK_STOP_ACTIVE: Control.ENABLE,
    State.ENABLED: Control.ENABLE,
    State.FAULT: Control.FAULT_RESET,
}

_FAULTS = {  # first of an error code's digits, the longest that fits
    0x2000: 'over_current',
    0x3100: 'mains_voltage',
    0x3200: 'dc_link_voltage',
    0x4000: 'temperature',
    0x5400: 'power_stage',
    0x7300: 'encoder',
    0x7121: 'motor_blocked',
    0x8100: 'communication',
    0x8130: 'guarding',
    0x8500: 'position_controller',
    0x8611: 'following_error',
    0x8612: 'reference_limit',
}


def state_of(statusword: int) -> State:
    """State in a statusword."""
    return next((state for state in State if statusword & state.value[0] == state.value[1]), State.NOT_READY)


def fault_name(error_code: int) -> str:
    """Name of an error code (0x603F, or of an emergency message)."""
    for mask in (0xFFFF, 0xFF00, 0xF000):
        if error_code & mask in _FAULTS:
            return _FAULTS[error_code & mask]
    return 'drive_fault'
