"""Products by NumPy where they are faster, by torch where they must be."""

import pytest
import torch

from fewshot.heads.solvers.products import FEW, gram, narrow_products, products


@pytest.mark.parametrize("rows", [1, FEW, FEW + 1, 30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_of_few_and_many_rows(rows, dtype):
    rng = torch.Generator().manual_seed(rows)
    one = torch.randn(3, rows, 20, generator=rng, dtype=dtype)
    other = torch.randn(3, 40, 20, generator=rng, dtype=dtype)
    torch.testing.assert_close(products(one, other.mT), one @ other.mT)
    torch.testing.assert_close(products(other, one.mT), other @ one.mT)
    torch.testing.assert_close(gram(one), one @ one.mT)


def test_gradients_and_other_dtypes():
    one, other = torch.randn(2, 3, 5, requires_grad=True), torch.randn(2, 5, 4)
    assert products(one, other).requires_grad
    assert gram(one).requires_grad
    with torch.no_grad():
        torch.testing.assert_close(products(one, other), one @ other)
    half = torch.ones(2, 3, 5, dtype=torch.bfloat16)
    assert products(half, half.mT).dtype == gram(half).dtype == torch.bfloat16


def test_tensors_of_a_graph_stay_with_torch():
    """``torch.export`` calls heads on tensors of a class of its own, which NumPy does not know."""

    class Traced(torch.Tensor):
        pass

    rows = torch.ones(1, 4, 8).as_subclass(Traced)
    assert type(products(rows, torch.ones(1, 8, 3))) is Traced
    assert type(gram(rows)) is Traced


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
