"""The first pages of ``parity-lightning fit --help`` and of the subcommands that evaluate.

They have the options most used, each with its default. They are written down here so that they need neither Lightning
nor torch; a test compares them with the real options.
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


EVALUATION_OPTIONS = (
    Entry("ckpt_path FILE", "", "the checkpoint, RUN/checkpoints/last.ckpt for example"),
    Entry("config FILE", "", "its configuration; by default the config.yaml of its run"),
    Entry("data.batch_size", "32", "examples in a batch"),
    Entry("trainer.accelerator", "auto", "cpu, gpu or auto"),
    Entry("trainer.default_root_dir", "runs", "the folder below which predict writes into a folder of its own"),
)

_WHAT = {
    "fit": "Train a network on a sparse parity, show its hidden progress, stop when it is solved.",
    "validate": "Evaluate a checkpoint on the validation set.",
    "test": "Evaluate a checkpoint on the test set.",
    "predict": "Write a checkpoint's predictions on the test set as predictions.csv.",
}


def short_help(subcommand: str) -> str:
    """The page of a subcommand.

    Args:
        subcommand: ``fit``, ``validate``, ``test`` or ``predict``.
    """
    options, first = (OPTIONS, "--config FILE") if subcommand == "fit" else (EVALUATION_OPTIONS, "--ckpt_path FILE")
    width = max(len(entry.option) for entry in options)
    lines = []
    for entry in options:
        default = f" (default: {entry.default})" if entry.default else ""
        lines.append(f"  --{entry.option:<{width}}  {entry.help}{default}")
    listed = "\n".join(lines)
    return f"""\
usage: parity-lightning {subcommand} {first} [--OPTION VALUE ...]

{_WHAT[subcommand]}

options (a configuration may set others than these defaults):
{listed}

more:
  --quiet                 say nothing but the paths of what was written, answers, and what is wrong
  --json                  print what came of it as JSON, an object a line; all else goes to standard error
  --help.all              all options of trainer, model and data, with their types
  --model.help PolyNet    the options of one network; also --data.help, --model.optimizer.help Adam
  --print_config          the settings that would be used, as a configuration; nothing runs"""
