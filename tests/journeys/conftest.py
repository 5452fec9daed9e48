"""Each journey is played twice: once through the API, once through the pages and the desk."""

import pytest
import time_machine

from tests.conftest import T0
from tests.journeys.stage import ApiDoor, PortalDoor, Stage


@pytest.fixture(params=[ApiDoor, PortalDoor], ids=["api", "portal"])
def stage(request, db):
    with time_machine.travel(T0, tick=False) as traveller:
        yield Stage(traveller, request.param())
