"""Last of all: what the contract documents has been seen."""
import os

import pytest

import contract


@pytest.mark.skipif("ISTHMUS_WHOLE" not in os.environ, reason="only after the whole suite")
def test_every_operation_and_status_was_produced():
    assert contract.missing() == []
