"""Whatever is written as a prescription is read, or refused in words; nothing else."""

from datetime import date, time
from decimal import Decimal
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from backend.regimens.expand import occurrences
from backend.regimens.fhir_timing import Circumstances
from backend.regimens.read import read
from backend.regimens.timing import BadTiming
from backend.regimens.timing_json import from_json, to_json
from backend.regimens.zones import zone_named
from tests.backend.regimens.timings import timings

PARIS = zone_named("Europe/Paris")
AT = Circumstances(PARIS, date(2026, 3, 1), {"dinner": time(19)}, untimed=True)

odd: st.SearchStrategy[object] = st.sampled_from(
    [
        *(None, True, 0, 1, -1, 2.5, 10**30, Decimal("1E+40"), Decimal("NaN"), ""),
        *("d", "h", "2026-03-01", "2026-03-01T08:00:00Z", "9999-12-31", "08:00:00"),
        *([], {}, [None], ["mon"], ["08:00:00"], ["CV"], [["x"]], {"value": 1}),
        *({"start": "2026-03-01"}, {"start": "2200-12-31T23:59:59-14:00"}),
        *({"value": 999_999, "code": "a"}, {"value": 999_999, "code": "h"}),
    ]
)


Drawn = st.SearchStrategy[object]


def having(names: str, **inside: Drawn) -> Drawn:
    """Objects with some of these members, of odd values, and of better ones inside."""
    every: dict[str, Drawn] = dict.fromkeys(names.split(), odd)
    return st.fixed_dictionaries({}, optional=every | inside)


REPEAT = (
    "boundsPeriod boundsDuration count frequency frequencyMax period periodUnit"
    " dayOfWeek timeOfDay when offset duration durationUnit"
)
timing = having(
    "event code", repeat=having(REPEAT), modifierExtension=st.lists(having("url"))
)
amount = having("value unit code comparator")
dosage = having(
    "sequence asNeededBoolean additionalInstruction",
    timing=timing,
    doseAndRate=st.lists(having("doseRange", doseQuantity=amount), max_size=2),
    maxDosePerPeriod=having("", numerator=amount, denominator=amount),
)
request = having(
    "status intent",
    resourceType=st.just("MedicationRequest"),
    dosageInstruction=st.lists(dosage, max_size=3),
)
ours = timings.map(to_json).flatmap(
    lambda whole: st.sampled_from(sorted(whole)).flatmap(
        lambda name: odd.map(lambda value: {**whole, name: value})
    )
)


@given(st.one_of(timing, dosage, st.lists(dosage, max_size=3), request, ours, odd))
def test_what_cannot_be_read_is_refused_with_a_reason(written: object) -> None:
    try:
        found = read(written, AT).timing
    except BadTiming:
        return
    assert from_json(to_json(found)) == found
    due = occurrences(found, zone=PARIS, first=AT.start or date.min, last=LAST)
    assert all(one.key for one in islice(due, 50))


LAST = date(2026, 5, 1)
