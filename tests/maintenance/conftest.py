"""The cast of maintenance: Acme and Cloudia (c1) use the Inference API, Nordwind does not."""

import pytest

from tests import factories
from tests.maintenance.world import without


@pytest.fixture
def cloudia(db):
    return factories.organisation("Cloudia")


@pytest.fixture
def c1(cloudia):
    return factories.person("c1@cloudia.example", "Cem One", cloudia, "manager")


@pytest.fixture
def cast(acme, cloudia, nordwind, a1, a2, a3, b1, c1, g1, g2, m1):
    """Everybody; only Acme and Cloudia use what is maintained."""
    without(nordwind)
