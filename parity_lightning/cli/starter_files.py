"""The files that somebody begins with who wants to train a network of their own."""

from __future__ import annotations

import re
from string import Template
from typing import NamedTuple

_MODULE = Template('''\
"""A network of my own, trained on sparse parities.

    parity-lightning fit --config $module.yaml
    parity-lightning trials --config $module.yaml --trials 25
    python -m pytest test_$module.py
"""

from typing import Any

from torch import nn

from parity_lightning import ParityModule


class $kind(ParityModule):
    """A two-layer network of GELUs.

    Args:
        n: How many bits an input has; the command line fills it in from the data.
        units: How many hidden units; every argument is an option: --model.units 200.
        **kwargs: What every ParityModule takes: loss, initialization, optimizer and so on.
    """

    def __init__(self, n: int, units: int = 100, **kwargs: Any) -> None:
        # Any nn.Module from inputs of shape (..., n) to outputs of shape (...) or (..., 1).
        network = nn.Sequential(nn.Linear(n, units), nn.GELU(), nn.Linear(units, 1))
        super().__init__(network, **kwargs)
''')

_CONFIG = Template("""\
# $kind on the (20,3)-parity, with fresh examples at every step.
#
#   parity-lightning fit --config $module.yaml
#
# Any option can be given on the command line, too: --data.n 30 --model.units 200 --model.optimizer.lr 0.05

seed_everything: 0 # initial weights; support and examples, unless data.init_args.seed is given

model:
  class_path: $module.$kind # found in this folder, or beside this file
  init_args:
    units: 100
    loss: hinge # or square, cross_entropy, correlation
    optimizer:
      class_path: torch.optim.SGD
      init_args:
        lr: 0.1

data:
  class_path: ParityDataModule
  init_args:
    n: 20
    k: 3
    batch_size: 32

trainer:
  max_steps: 100_000
  val_check_interval: 50 # SGD steps between evaluations
""")

_TEST = Template('''\
"""Tests of $kind: python -m pytest test_$module.py (pip install pytest)."""

from $module import $kind

from parity_lightning.testing import check_module


def test_it_keeps_the_contract_of_every_architecture() -> None:
    check_module($kind, units=5)


def test_it_has_the_weights_it_should() -> None:
    network = $kind(n=8, units=5)
    assert sum(weight.numel() for weight in network.parameters()) == (8 + 1) * 5 + (5 + 1)
''')


class Starter(NamedTuple):
    """A network to begin with.

    Attributes:
        module: The name of its module.
        kind: The name of its class.
    """

    module: str
    kind: str

    @classmethod
    def of(cls, name: str) -> Starter:
        """Names module and class after either.

        Args:
            name: Letters, digits and underscores.

        Example:
            >>> Starter.of("gated_mlp"), Starter.of("GatedMLP")
            (Starter(module='gated_mlp', kind='GatedMlp'), Starter(module='gated_mlp', kind='GatedMLP'))
        """
        if name[0].isupper():
            return cls(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(), name)
        return cls(name, "".join(part[:1].upper() + part[1:] for part in name.split("_")))

    def texts(self) -> dict[str, str]:
        """The texts of module, configuration and test, by their files' names."""
        templates = {f"{self.module}.py": _MODULE, f"{self.module}.yaml": _CONFIG, f"test_{self.module}.py": _TEST}
        return {file: template.substitute(self._asdict()) for file, template in templates.items()}
