"""A study as large as asked for: openings in the order of time, all monitors mixed."""

import random
from datetime import date, datetime, timedelta
from pathlib import Path

FIRST = date(2022, 1, 1)
DAY = timedelta(days=1)


def generate(folder: Path, *, rows: int, days: int = 400, a_day: int = 2) -> int:
    """Write a study of about so many openings, two a day; return how many exactly."""
    chance = random.Random(7)
    monitors = max(1, round(rows / (days * a_day)))
    codes = [f"P{number // 2:06},M{number:06}" for number in range(monitors)]
    last = FIRST + (days - 1) * DAY
    (folder / "big_EMInfo.csv").write_text(
        "PatientCode,Monitor,StartDate,EndDate\n"
        + "".join(f"{code},{FIRST},{last}\n" for code in codes)
    )
    (folder / "big_Regimen.csv").write_text(
        "PatientCode,Monitor,ExpectedOpenings,StartDate,EndDate,On,Off\n"
        + "".join(f"{code},{a_day},{FIRST},{last},,\n" for code in codes)
    )
    written = 0
    with (folder / "big_events.csv").open("w") as file:
        file.write("PatientCode,Monitor,Date\n")
        for number in range(days):
            day = datetime.combine(FIRST + number * DAY, datetime.min.time())
            for dose in range(a_day):
                hours = timedelta(hours=8 + 12 * dose / a_day)
                for code in codes:
                    if written == rows:
                        return written
                    at = day + hours + timedelta(seconds=chance.randrange(7200))
                    file.write(f"{code},{at.isoformat()}\n")
                    written += 1
    return written
