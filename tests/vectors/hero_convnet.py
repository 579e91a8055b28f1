"""Makes hero_convnet.json: one HERO step of a small convolutional network in PyTorch, in double precision.

    pip install torch && python hero_convnet.py > hero_convnet.json

The numbers in the repository come from PyTorch 2.15 with other random inputs of the same shapes; any output of this
script is a valid vector for the test.
"""
import json

import torch
from torch import nn

RHO, LAMBDA = 0.5, 5.0
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


def dump(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().flatten().tolist()}


network = Network().train()
with torch.no_grad():
    for name, p in network.named_parameters():
        if name.startswith("bn"):
            p.add_(0.1 * torch.randn_like(p))
x, y = torch.randn(8, 3, 8, 8), torch.randint(0, 10, (8,))
names = [name for name, _ in network.named_parameters()]
params = list(network.parameters())
regular = ["bias" not in name and "bn" not in name for name in names]
before = {name: dump(p) for name, p in zip(names, params)}

g0 = torch.autograd.grad(nn.functional.cross_entropy(network(x), y), params)
norm = torch.sqrt(sum(((p * g) ** 2).sum() for p, g in zip(params, g0)))
e = [RHO * p.detach() ** 2 * g / (norm + 1e-12) for p, g in zip(params, g0)]
with torch.no_grad():
    for p, step in zip(params, e):
        p.add_(step)
g1 = torch.autograd.grad(nn.functional.cross_entropy(network(x), y), params, create_graph=True)
penalty = LAMBDA * sum(((a - b) ** 2).mean() for a, b, r in zip(g1, g0, regular) if r)
curvature = torch.autograd.grad(penalty, params)

print(json.dumps({
    "note": "one HERO step; see hero_convnet.py",
    "rho": RHO, "lambda": LAMBDA, "names": names, "reg": regular,
    "x": dump(x), "y": y.tolist(), "params": before,
    "asam_norm": norm.item(), "G": penalty.item(),
    "g0": {n: dump(t) for n, t in zip(names, g0)}, "e": {n: dump(t) for n, t in zip(names, e)},
    "g1": {n: dump(t) for n, t in zip(names, g1)}, "gradG": {n: dump(t) for n, t in zip(names, curvature)},
    "total": {n: dump(a + b) for n, a, b in zip(names, g1, curvature)},
}))
