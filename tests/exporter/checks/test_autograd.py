import pytest
import torch
from torch import nn
from torch.nn import functional

from nstbatch.exporter.checks.autograd import vector_jacobian_product
from nstbatch.exporter.rules import ReluRule

X = torch.tensor([[-1.0, -1.0, 2.0, 2.0]])
G = torch.tensor([[-3.0, 5.0, -7.0, 9.0]])


class ByFunction(nn.Module):
    def __init__(self, relu):
        super().__init__()
        self.relu = relu

    def forward(self, image):
        return (self.relu(image),)


RELUS = {
    "module": nn.ReLU(),
    "functional": functional.relu,
    "functional in place": lambda x: functional.relu(x.clone(), inplace=True),
    "torch": torch.relu,
    "torch in place": lambda x: torch.relu_(x.clone()),
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.clone().relu_(),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=list(RELUS))
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ReluRule.GRADIENT, [0, 0, -7, 9]),
        (ReluRule.DECONV, [0, 5, 0, 9]),
        (ReluRule.GUIDED, [0, 0, 0, 9]),
    ],
)
def test_every_kind_of_relu_follows_the_rule(relu, rule, expected):
    (activation,), gradient = vector_jacobian_product(ByFunction(relu), X, [G], rule)
    assert activation.tolist() == [[0, 0, 2, 2]]
    assert gradient.tolist() == [expected]


class TwoLayers(nn.Module):
    def forward(self, image):
        return 3 * image, image.relu()


def test_the_layers_contributions_add_up():
    activations, gradient = vector_jacobian_product(TwoLayers(), X, [G, G], ReluRule.GUIDED)
    assert [a.tolist() for a in activations] == [(3 * X).tolist(), X.relu().tolist()]
    assert torch.equal(gradient, 3 * G + torch.tensor([[0.0, 0.0, 0.0, 9.0]]))
    assert not any(tensor.requires_grad for tensor in (*activations, gradient, X))


def test_the_rule_ends_with_the_call():
    vector_jacobian_product(ByFunction(torch.relu), X, [G], ReluRule.DECONV)
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(torch.relu(x), x, G)
    assert gradient.tolist() == [[0, 0, -7, 9]]
