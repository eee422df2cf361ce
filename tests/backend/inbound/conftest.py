from collections.abc import Generator

import pytest

from backend.app import create_app
from backend.settings import settings
from tests.backend.inbound.clinic import PUBLIC, TOKEN, Twilio
from tests.serving import serving


@pytest.fixture
def twilio(db: object, monkeypatch: pytest.MonkeyPatch) -> Generator[Twilio]:
    monkeypatch.setenv("DOSELOOP_TWILIO_TOKEN", TOKEN)
    monkeypatch.setenv("DOSELOOP_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    with serving(create_app()) as client:
        yield Twilio(client)
    settings.cache_clear()
