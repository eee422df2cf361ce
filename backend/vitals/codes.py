"""The vitals that are stored: LOINC code, UCUM unit and what a body can show.

The bounds are not clinical limits. They are set far outside what is compatible with
life and being measured, so that only a broken sensor or a wrong unit crosses them.

LOINC has a code for the standard deviation of the beat intervals (SDNN) and none for
the root mean square of successive differences (RMSSD). To file one under the other
would be wrong, so RMSSD has a code of our own that cannot be taken for LOINC's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

ANNOTATION = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Vital:
    """A kind of observation; a value outside low..high is no observation of it."""

    code: str
    name: str
    unit: str
    low: float
    high: float


VITALS: Mapping[str, Vital] = {
    vital.code: vital
    for vital in (
        Vital("8867-4", "Heart rate", "/min", 5, 400),
        Vital("40443-4", "Resting heart rate", "/min", 5, 300),
        Vital("41924-2", "Heart rate, mean of 24 hours", "/min", 5, 300),
        Vital("80404-7", "Heart rate variability (SDNN)", "ms", 0, 2000),
        Vital("x-rmssd", "Heart rate variability (RMSSD)", "ms", 0, 2000),
        Vital("9279-1", "Respiratory rate", "/min", 1, 150),
        Vital("59408-5", "Oxygen saturation by pulse oximetry", "%", 1, 100),
        Vital("2708-6", "Oxygen saturation", "%", 1, 100),
        Vital("8310-5", "Body temperature", "Cel", 10, 50),
        Vital("61008-9", "Body surface temperature", "Cel", 0, 50),
        Vital("8480-6", "Systolic blood pressure", "mm[Hg]", 10, 400),
        Vital("8462-4", "Diastolic blood pressure", "mm[Hg]", 5, 300),
        Vital("8478-0", "Mean blood pressure", "mm[Hg]", 5, 350),
        Vital("2339-0", "Glucose in blood", "mg/dL", 1, 3000),
        Vital("15074-8", "Glucose in blood, molar", "mmol/L", 0.05, 170),
        Vital("99504-3", "Glucose in interstitial fluid", "mg/dL", 1, 3000),
        Vital("29463-7", "Body weight", "kg", 0.2, 700),
        Vital("8302-2", "Body height", "cm", 20, 280),
        Vital("93832-4", "Sleep duration", "h", 0, 24),
        Vital("41950-7", "Steps in 24 hours", "/(24.h)", 0, 300_000),
        Vital("41979-6", "Calories burned in 24 hours", "kcal/(24.h)", 0, 50_000),
    )
}


def same_unit(sent: str, unit: str) -> bool:
    """Return whether `sent` means `unit`; UCUM annotations ({beats}) do not count."""
    return sent == unit or ANNOTATION.sub("", sent) == unit
