"""Shared by all tests."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    """Tensors in tests are tiny; sharing them among cores only costs time."""
    torch.set_num_threads(1)
