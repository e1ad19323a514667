"""What the server imports that the command line's processes are forked from: all that a run may need, so none waits."""

# ruff: noqa: F401, E402

import gc

# Of what is imported nothing is garbage.
gc.disable()

import matplotlib.backends.backend_agg
import torch
import torch.utils.serialization
import wandb

import parity_lightning.cli.training
import parity_lightning.cli.trials
import parity_lightning.display.run_picture
import parity_lightning.engine.optimizer_options
import parity_lightning.modules

# As in the process that runs tests, whatever the number of cores.
torch.set_num_threads(1)

# Its processes neither look through these objects for garbage nor copy the pages that they lie in.
gc.freeze()
gc.enable()
