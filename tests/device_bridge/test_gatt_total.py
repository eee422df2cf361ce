"""Decoders are total: a value or MalformedRecord for any octets whatever."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_bridge.errors import MalformedRecord
from device_bridge.gatt.ghs import decode_observation, decode_stored
from device_bridge.gatt.racp import decode_answer, decode_request
from tests.fuzz.inputs import CONTEXTS, KEYS, is_sound, seeds

edits = st.tuples(
    st.sampled_from(("replace", "insert", "delete")),
    st.integers(0, 255),
    st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)) | st.integers(0, 255),
)


def damaged(octets: bytes, edit: tuple[str, int, int]) -> bytes:
    how, where, octet = edit
    at = where % (len(octets) + 1)
    kept = b"" if how == "delete" else bytes([octet])
    return octets[:at] + kept + octets[at + (how != "insert") :]


def nearly_sound(key: str) -> st.SearchStrategy[bytes]:
    """Octets of sound values with a few of them changed, lost or added."""

    def changed(octets: bytes, changes: list[tuple[str, int, int]]) -> bytes:
        for edit in changes:
            octets = damaged(octets, edit)
        return octets

    values = [value for seed in seeds() if seed.key == key for value in seed.values]
    return st.builds(changed, st.sampled_from(values), st.lists(edits, max_size=4))


@pytest.mark.parametrize("key", KEYS)
@settings(max_examples=60, derandomize=True)  # make soak looks further
@given(data=st.data(), context=st.sampled_from(CONTEXTS))
def test_any_octets_give_fields_or_a_malformed_record(
    key: str, data: st.DataObject, context: dict[str, object]
) -> None:
    one = st.binary(max_size=60) | nearly_sound(key)
    is_sound(key, data.draw(st.lists(one, min_size=1, max_size=2)), context)


@given(st.binary(max_size=80))
def test_any_message_gives_an_observation_or_a_malformed_record(payload: bytes) -> None:
    for decode in (decode_observation, decode_stored, decode_answer, decode_request):
        with suppress(MalformedRecord):
            decode(payload)
