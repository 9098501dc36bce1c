"""The stub of a GPU, made once for all tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stub_gpu import AbsentError, StubGpu, made_in


@pytest.fixture(scope="session")
def gpu() -> Iterator[StubGpu]:
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, which keeps three
        try:
            yield made_in(Path(folder))
        except AbsentError as error:
            pytest.skip(str(error))
