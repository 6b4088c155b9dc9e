import pytest
import torch
import torch.nn.functional as F

from m3amba_zoo.models.map_linear import MapLinear


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("laid", ["channels last", "channels first", "cut", "empty"])
def test_gives_what_a_linear_layer_gives(dtype, laid):
    torch.manual_seed(0)
    maps = {
        "channels last": torch.randn(2, 3, 5, 6),
        "channels first": torch.randn(2, 6, 3, 5).permute(0, 2, 3, 1),
        "cut": torch.randn(2, 3, 5, 12)[..., ::2],
        "empty": torch.randn(0, 3, 5, 6),
    }
    x = maps[laid].to(dtype).requires_grad_()
    layer = MapLinear(6, 4).to(dtype)
    parameters = (x, layer.weight, layer.bias)
    found, expected = layer(x), F.linear(*parameters)
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(found, expected, **tolerance)
    grad = torch.randn_like(expected)
    gradients = (torch.autograd.grad(y, parameters, grad) for y in (found, expected))
    torch.testing.assert_close(*gradients, **tolerance)


def test_takes_the_weights_of_a_linear_layer():
    MapLinear(6, 4).load_state_dict(torch.nn.Linear(6, 4).state_dict())
