"""Whole stories: from what a box records to what people are told, and what stays."""

import pytest

from tests.stories.scenario import expected, load, names, outcome, played


@pytest.mark.parametrize("name", names())
def test_scenario(db: object, name: str) -> None:
    scenario = load(name)

    play = played(scenario)

    got, then = outcome(play), expected(scenario)
    assert {key: got[key] for key in then} == then
