"""The first page of ``parity-lightning fit --help``: the options people use, each with its default.

The page is written down here so that it needs neither Lightning nor torch; a test compares it with the real options.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """An option on the first page."""

    option: str
    default: str
    help: str


OPTIONS = (
    Entry("config FILE", "", "a YAML file of settings; may be given several times, a later one prevails"),
    Entry("data.n", "", "the number of inputs"),
    Entry("data.k", "", "how many of them the label depends on"),
    Entry("data.support", "null", "which ones, [3,17,41]; by default drawn by the seed"),
    Entry("data.batch_size", "32", "examples in a batch, of all devices together"),
    Entry("data.num_samples", "null", "train on so many fixed examples; null for fresh ones at every step"),
    Entry("data.label_noise", "0.0", "the share of training labels that are wrong"),
    Entry("model", "", "the network: MLP, Neuron, PolyNet, DisjointPolyNet, Transformer or a class of yours"),
    Entry("model.width", "100", "hidden units of an MLP"),
    Entry("model.activation", "relu", "its activation"),
    Entry("model.loss", "hinge", "hinge, square, cross_entropy or correlation"),
    Entry("model.optimizer.lr", "0.1", "the learning rate of SGD"),
    Entry("trainer.max_steps", "100000", "SGD steps after which a run ends that is not solved"),
    Entry("trainer.val_check_interval", "100", "steps from one evaluation to the next"),
    Entry("trainer.accelerator", "auto", "cpu, gpu or auto"),
    Entry("trainer.default_root_dir", "runs", "the folder below which the run gets a folder of its own"),
    Entry("seed_everything", "0", "decides initial weights and, without --data.seed, support and batches"),
    Entry("ckpt_path", "null", "a checkpoint to go on from; last: the newest run of these settings"),
)


def first_page() -> str:
    """The page."""
    width = max(len(entry.option) for entry in OPTIONS)
    lines = []
    for entry in OPTIONS:
        default = f" (default: {entry.default})" if entry.default else ""
        lines.append(f"  --{entry.option:<{width}}  {entry.help}{default}")
    listed = "\n".join(lines)
    return f"""\
usage: parity-lightning fit --config FILE [--OPTION VALUE ...]

Train a network on a sparse parity, show its hidden progress, stop when it is solved.

options (a configuration may set others than these defaults):
{listed}

more:
  --help.all              all options of trainer, model and data, with their types
  --model.help PolyNet    the options of one network; also --data.help, --model.optimizer.help Adam
  --print_config          the settings that would be used, as a configuration; nothing runs"""
