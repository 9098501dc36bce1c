"""Every public name of the library is there."""

from __future__ import annotations

import pytest

import nstbatch


@pytest.mark.parametrize("name", nstbatch.__all__)
def test_a_public_name_can_be_used(name: str) -> None:
    assert getattr(nstbatch, name) is not None
