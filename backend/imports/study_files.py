"""Which files make up an electronic-monitoring study, and what each must have.

A file is found by the part of its name after the last underscore, so that
`trial7_aux_Regimen.csv` and `Regimen.csv` are both the regimens.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from backend.imports.refusals import quoted
from backend.imports.table import UnreadableFile


class Part(StrEnum):
    """A table of a study, by the name its file ends in."""

    EVENTS = "events"
    MONITORS = "EMInfo"
    REGIMENS = "Regimen"
    MONITOR_COVARIABLES = "EMCovariables"
    NON_MONITORED = "NonMonitoredPeriods"
    ADDED = "AddedOpenings"
    PATIENT_COVARIABLES = "PatientCovariables"
    ADVERSE_EVENTS = "AdverseEvents"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table; those in `also` may be missing, as may the whole file."""

    columns: tuple[str, ...]
    also: tuple[str, ...] = ()
    required: bool = False


LAYOUTS: Mapping[Part, Layout] = {
    Part.EVENTS: Layout(("PatientCode", "Monitor", "Date"), required=True),
    Part.MONITORS: Layout(
        ("PatientCode", "Monitor", "StartDate", "EndDate"), required=True
    ),
    Part.REGIMENS: Layout(
        ("PatientCode", "Monitor", "ExpectedOpenings", "StartDate", "EndDate"),
        ("On", "Off"),
        required=True,
    ),
    Part.MONITOR_COVARIABLES: Layout(("PatientCode", "Monitor", "DCI")),
    Part.NON_MONITORED: Layout(
        ("PatientCode", "Monitor", "StartDate", "EndDate"), ("Comments",)
    ),
    Part.ADDED: Layout(
        ("PatientCode", "Monitor", "Date", "AddedOpenings"), ("Comments",)
    ),
}
# Known, and not read: there is no place for them, and what is not needed is not kept.
LEFT_ALONE = (Part.PATIENT_COVARIABLES, Part.ADVERSE_EVENTS)


def find_files(folder: Path) -> Mapping[Part, Path]:
    """Return the file of each table of the study in a folder.

    Raises UnreadableFile when there is no such folder, a required file is missing, or
    two files claim to be the same table.
    """
    if not folder.is_dir():
        raise UnreadableFile(f"{quoted(str(folder))} is no folder")
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == ".csv" and path.is_file():
            found[path.stem.rpartition("_")[2].lower()].append(path)
    files: dict[Part, Path] = {}
    for part in Part:
        claims = found[part.lower()]
        if len(claims) > 1:
            names = ", ".join(quoted(path.name) for path in claims)
            raise UnreadableFile(f"several files are the {part}: {names}")
        if claims:
            files[part] = claims[0]
        elif part in LAYOUTS and LAYOUTS[part].required:
            raise UnreadableFile(f"no file {part}.csv or *_{part}.csv in {folder.name}")
    return files
