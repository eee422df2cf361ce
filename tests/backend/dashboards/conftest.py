"""The whole application on a real socket, and a clinic at work in its database."""

from collections.abc import Generator

import httpx
import pytest

from backend import live
from backend.app import create_app
from backend.database import transaction
from tests.backend.dashboards.clinic import Clinic, a_clinic_at_work
from tests.serving import serving


@pytest.fixture
def clinic(db: object) -> Clinic:
    with transaction() as session:
        return a_clinic_at_work(session)


@pytest.fixture
def web(clinic: Clinic) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        yield client
    live.stop()
