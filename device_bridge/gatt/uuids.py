"""16-bit UUIDs in the 128-bit text form in which scanners and clients give them."""

BASE = "-0000-1000-8000-00805f9b34fb"


def short(uuid16: int) -> str:
    """Return the 128-bit form of a 16-bit UUID."""
    return f"0000{uuid16:04x}{BASE}"


def shortened(uuid: str) -> str:
    """Return the 16-bit form of an adopted 128-bit UUID in small letters.

    Other text comes back as it is.
    """
    adopted = len(uuid) == 36 and uuid.startswith("0000") and uuid.endswith(BASE)
    return uuid[4:8] if adopted else uuid


GENERIC_HEALTH_SENSOR = short(0x1840)
ELAPSED_TIME_SERVICE = short(0x183F)
HEART_RATE_SERVICE = short(0x180D)
HEALTH_THERMOMETER = short(0x1809)
BLOOD_PRESSURE = short(0x1810)
WEIGHT_SCALE = short(0x181D)
PULSE_OXIMETER = short(0x1822)
GLUCOSE = short(0x1808)
CGM = short(0x181F)
BATTERY_SERVICE = short(0x180F)
DEVICE_INFORMATION = short(0x180A)

LIVE_OBSERVATIONS = short(0x2B8B)
STORED_OBSERVATIONS = short(0x2BDD)
RECORD_ACCESS = short(0x2A52)
GHS_CONTROL = short(0x2BF4)
HEALTH_FEATURES = short(0x2BF3)
SECURITY_LEVELS = short(0x2BF5)
CURRENT_ELAPSED_TIME = short(0x2BF2)
HEART_RATE_MEASUREMENT = short(0x2A37)
TEMPERATURE_MEASUREMENT = short(0x2A1C)
BLOOD_PRESSURE_MEASUREMENT = short(0x2A35)
WEIGHT_MEASUREMENT = short(0x2A9D)
PLX_SPOT_CHECK, PLX_CONTINUOUS = short(0x2A5E), short(0x2A5F)
GLUCOSE_MEASUREMENT = short(0x2A18)
CGM_MEASUREMENT, CGM_FEATURE = short(0x2AA7), short(0x2AA8)
CGM_STATUS, CGM_SESSION_START = short(0x2AA9), short(0x2AAA)
DATE_TIME, CURRENT_TIME = short(0x2A08), short(0x2A2B)
BATTERY_LEVEL = short(0x2A19)
MAKER, MODEL, SERIAL = short(0x2A29), short(0x2A24), short(0x2A25)
FIRMWARE, UDI = short(0x2A26), short(0x2BFF)
