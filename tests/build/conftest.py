"""A virtual environment for developing projects."""

from __future__ import annotations

import pytest

from tests.build.test_projects import Environment
from tests.conftest import Place


@pytest.fixture
def environment(place: Place) -> Environment:
    return Environment(place)
