"""What a patient's words or key presses mean.

A message counts as an answer only as a whole: "not taken" is not "taken", and "STOP
please" is for a person to read. Whatever is not surely one thing is `unclear`, and
what is unclear goes to a person.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from notifications.wording import LANGUAGES, Replies, reply_words

Kind = Literal[
    "taken", "skip", "snooze", "stop", "start", "help", "checking", "unclear"
]

SNOOZE = 15  # minutes, when no number is given
LONGEST_SNOOZE = 240
LONGEST_TEXT = 1600  # signs of a message; Twilio carries no more
LONGEST_ANSWER = 160  # signs a short answer may have; a reason counts

# Why a message is unclear.
OPT_OUT = "possible opt-out"
OUT_OF_BOUNDS = "snooze out of bounds"
NOT_KNOWN = "not a known answer"

KEYS: Mapping[str, Kind] = {"1": "taken", "2": "snooze", "3": "help"}
KEYS_OF_CAREGIVERS: Mapping[str, Kind] = {"1": "checking", "2": "help", "9": "stop"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answered.

    `minutes` belongs to `snooze` alone, 1 to LONGEST_SNOOZE. `reason` is the patient's
    for `skip` ("" when none was given), ours for `unclear`. `text` is what was
    written, cut to LONGEST_TEXT. `reference` is that of the message it answers, when
    it was quoted.
    """

    kind: Kind
    minutes: int | None = None
    reason: str = ""
    text: str = ""
    reference: str = ""


def understand(text: str, language: str) -> Reply:
    """Return what a written message means to somebody who reads this language.

    Words of the other languages count as well where they mean one thing; STOP, START
    and HELP are understood everywhere, as carriers do.
    """
    written = text.strip()[:LONGEST_TEXT]
    words, reference = _without_reference(_plain(written))
    kind = _meanings(language).get(words)
    if kind == "snooze":
        return Reply(kind, SNOOZE, text=written, reference=reference)
    if kind is not None:
        return Reply(kind, text=written, reference=reference)
    if len(words) <= LONGEST_ANSWER:
        known = _snooze(words, written, reference) or _skip(written, language)
        if known is not None:
            return known
    doubt = OPT_OUT if _stop_words() & set(words.split()) else NOT_KNOWN
    return Reply("unclear", reason=doubt, text=written, reference=reference)


def understand_keys(digits: str, *, of_caregiver: bool = False) -> Reply:
    """Return what the keys pressed during a call mean.

    1 taken, 2 snooze, 3 help; of a caregiver 1 checking (they will see how the patient
    is), 2 help, 9 stop.
    """
    kind = (KEYS_OF_CAREGIVERS if of_caregiver else KEYS).get(digits, "unclear")
    return Reply(
        kind,
        SNOOZE if kind == "snooze" else None,
        reason=NOT_KNOWN if kind == "unclear" else "",
        text=digits[:LONGEST_TEXT],
    )


def _snooze(words: str, written: str, reference: str) -> Reply | None:
    """Return a snooze with a number: "snooze 20", "remind me in 1 hour"."""
    found = _snooze_pattern().fullmatch(words)
    if found is None:
        return None
    minutes = int(found["number"]) * (60 if found["hours"] else 1)
    if not 1 <= minutes <= LONGEST_SNOOZE:
        return Reply("unclear", reason=OUT_OF_BOUNDS, text=written, reference=reference)
    return Reply("snooze", minutes, text=written, reference=reference)


def _skip(written: str, language: str) -> Reply | None:
    """Return a skip with its reason, which holds no word of another answer.

    "Skip, I have taken it already" is for a person, and so is "skip? no".
    """
    parts = written.split()
    for count in range(min(len(parts) - 1, 4), 0, -1):
        if _meanings(language).get(_plain(" ".join(parts[:count]))) != "skip":
            continue
        reason = " ".join(parts[count:]).lstrip(":,;.- \N{EN DASH}\N{EM DASH}")
        plain, reference = _without_reference(_plain(reason))
        if "?" in written or _telling_words() & set(plain.split()):
            return None
        return Reply("skip", reason=reason, text=written, reference=reference)
    return None


# Signs that decorate an answer and change nothing. A sign that is not here may deny
# ("taken ❌") or ask ("taken?"), and the message is unclear.
DECORATION = str.maketrans(
    dict.fromkeys(
        ".,;:…\"'`´‘’‚“”„«»()*_-–—¡"  # noqa: RUF001
        "👍👌✅✔☑🆗🙏💊💉💪😀😃😄😁🙂😊☺😉😇🥰😍❤💚💙🎉",
        " ",
    )
)
# A sign of exclamation before a word is a programmer's "not".
EXCLAIMED = re.compile(r"!(?=[!\s]|$)")
SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
OVERLAY = 1  # the combining class of what strikes letters through


def _plain(text: str) -> str:
    """Return the bare words: no case, accents, decoration or invisible signs.

    Letters struck through stay so and match nothing: they say the opposite.
    """
    folded = unicodedata.normalize(
        "NFKD", unicodedata.normalize("NFKD", text).casefold()
    )
    kept = "".join(sign for sign in folded if not _ignored(sign))
    return " ".join(EXCLAIMED.sub(" ", kept.translate(DECORATION)).split())


def _ignored(sign: str) -> bool:
    match unicodedata.category(sign):
        case "Mn":
            return unicodedata.combining(sign) != OVERLAY
        case "Cf":
            return True
        case _:
            return sign in SKIN_TONES


# A reference that is all letters or all digits may be something else, so that it counts
# only after "Ref".
REFERENCE = re.compile(
    r"(?: ref (?P<named>[0-9a-hjkmnp-tv-z]{6})"
    r"| (?P<bare>(?=[a-z]*[0-9])(?=[0-9]*[a-z])[0-9a-hjkmnp-tv-z]{6}))$"
)


def _without_reference(words: str) -> tuple[str, str]:
    """Return the words before a quoted reference, and the reference or ""."""
    found = REFERENCE.search(words)
    if found is None:
        return words, ""
    return words[: found.start()], (found["named"] or found["bare"]).upper()


@cache
def _meanings(language: str) -> Mapping[str, Kind]:
    """Return what whole messages mean, first in this language."""
    meanings: dict[str, Kind] = {}
    own = reply_words(language)
    for said in (own, *_all_words()):
        for kind, phrases in by_kind(said).items():
            for phrase in phrases:
                meanings.setdefault(_plain(phrase), kind)
    return meanings


def by_kind(said: Replies) -> Mapping[Kind, list[str]]:
    """Return the phrases of each kind of answer."""
    return {
        "taken": said["taken"],
        "skip": said["skip"],
        "snooze": said["snooze"],
        "stop": said["stop"],
        "start": said["start"],
        "help": said["help"],
    }


@cache
def _all_words() -> list[Replies]:
    return [reply_words(language) for language in sorted(LANGUAGES)]


@cache
def _stop_words() -> frozenset[str]:
    phrases = (phrase for said in _all_words() for phrase in said["stop"])
    return frozenset(map(_plain, phrases))


@cache
def _telling_words() -> frozenset[str]:
    """Words that a reason for skipping must not hold: they may say something else."""
    return frozenset(
        _plain(word)
        for said in _all_words()
        for word in (*said["taken"], *said["stop"], *said["start"], *said["deny"])
    )


@cache
def _snooze_pattern() -> re.Pattern[str]:
    def one_of(key: Literal["snooze", "ahead", "minutes", "hours"]) -> str:
        words = {_plain(word) for said in _all_words() for word in said[key]}
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        return "|".join(map(re.escape, longest_first))

    return re.compile(
        rf"(?:{one_of('snooze')})(?: (?:{one_of('ahead')}))? ?(?P<number>[0-9]{{1,4}})"
        rf"(?: ?(?:{one_of('minutes')}|(?P<hours>{one_of('hours')})))?"
    )
