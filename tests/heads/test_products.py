"""Products of many narrow matrices."""

from __future__ import annotations

import pytest
import torch

from fewshot.heads.products import narrow_products


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_product_is_torchs(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(3, 7, 50, generator=generator, dtype=dtype)
    other = torch.randn(3, 4, 50, generator=generator, dtype=dtype).mT
    product = narrow_products(one, other)
    torch.testing.assert_close(product, one @ other)
    alone = torch.cat([narrow_products(one[e : e + 1], other[e : e + 1]) for e in range(3)])
    assert torch.equal(product, alone)


def test_it_is_written_into_a_part_of_a_tensor() -> None:
    one, other = torch.ones(2, 3, 5), torch.ones(2, 5, 4)
    out = torch.zeros(2, 6, 4)
    narrow_products(one, other, out[:, 2:5])
    assert out.sum((0, 2)).tolist() == [0, 0, 40, 40, 40, 0]


def test_gradients_are_no_obstacle() -> None:
    product = narrow_products(torch.ones(1, 2, 3, requires_grad=True), torch.ones(1, 3, 2))
    assert not product.requires_grad
