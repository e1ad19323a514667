"""A trial in a stack is the run of its own: same examples, same first weights, same trajectory, same dates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from conftest import CONFIGS, ROOT, Run
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback, LightningModule, Trainer

from parity_lightning import SparseParity
from parity_lightning.cli.trial_config import TrialConfigCLI
from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import Unstackable
from parity_lightning.engine.trial import MixedComputation, TrialResult, TrialSpec
from parity_lightning.modules import MLP, ParityModule

# What is needed for dates, and nothing that draws or saves.
DATES = ["--trainer.enable_checkpointing=false", "--trainer.callbacks=[]"] + [
    f"--trainer.callbacks+={name}"
    for name in ("HiddenProgress", "PhaseTransition", "StopWhenSolved", "StopWhenDiverged", "RunSummary")
]


class Case(NamedTuple):
    """A configuration, changed so that it is solved in a second, and how many seeds of it to try."""

    config: str
    options: tuple[str, ...]
    seeds: int = 2
    steps: int = 1500

    @property
    def arguments(self) -> list[str]:
        own = ["--trainer.accelerator=cpu", "--trainer.val_check_interval=10", f"--trainer.max_steps={self.steps}"]
        return [f"--config={CONFIGS / self.config}.yaml", "--data.n=12", "--data.k=2", *own, *self.options]


def sgd(*options: str) -> tuple[str, ...]:
    return ("--model.optimizer=SGD", *(f"--model.optimizer.{option}" for option in options))


CASES = {
    "ReLU": Case("online", (), 4),
    "finite sample": Case("grokking", ("--data.num_samples=200", "--model.optimizer.decay=0.002"), 4),
    "square loss": Case("online", ("--model.loss=square",)),
    "cross entropy": Case("online", ("--model.loss=cross_entropy",)),
    "correlation loss": Case("online", ("--model.loss=correlation",)),
    "gaussian": Case("online", ("--model.initialization=gaussian",)),
    "momentum": Case("online", sgd("lr=0.03", "momentum=0.9")),
    "Nesterov": Case("online", sgd("lr=0.03", "momentum=0.9", "nesterov=true")),
    "weight decay": Case("online", sgd("lr=0.1", "weight_decay=0.01")),
    "decay": Case("online", ("--model.optimizer=SGDW", "--model.optimizer.decay=0.001")),
    "decay and momentum": Case(
        "online", ("--model.optimizer=SGDW", "--model.optimizer.decay=0.001", "--model.optimizer.momentum=0.5")
    ),
    "sign-SGD": Case("online", ("--model.optimizer=SignSGD", "--model.optimizer.lr=0.003")),
    "sign-SGD with decay": Case(
        "online",
        ("--model.optimizer=SignSGD", "--model.optimizer.lr=0.01", "--model.optimizer.decay=0.01", "--data.k=3"),
    ),
    "Adam": Case("online", ("--model.optimizer=Adam", "--model.optimizer.lr=0.01"), 4),
    "AdamW": Case("online", ("--model.optimizer=AdamW", "--model.optimizer.lr=0.01")),
    "Adam, weight decay": Case("online", ("--model.optimizer=Adam", "--model.optimizer.weight_decay=0.001")),
    "label noise": Case("online", ("--data.label_noise=0.1", "--model.accuracy_thresholds=[0.55,0.75,1]")),
    "finite, noisy": Case("grokking", ("--data.num_samples=400", "--data.label_noise=0.05")),
    "schedule": Case(
        "online", ("--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size=40", "--model.lr_scheduler.gamma=0.8")
    ),
    "layers": Case("online", ("--model.param_groups={output: {lr: 0.02}}",)),
    "initial weights": Case(
        "online",
        ("--model.initialization_factors={hidden.bias: 2.5}", "--model.initialization_offsets={output: 0.01}"),
    ),
    "float64": Case("online", ("--trainer.precision=64",)),
    "power": Case("architectures/iv", ()),
    "zigzag": Case("architectures/vii", ()),
    "polynomial": Case("architectures/viii", ()),
    "infinite zigzag": Case("architectures/ix", ()),
    "sinusoid": Case("architectures/x", ()),
    "PolyNet": Case("architectures/xv", ()),
    "disjoint PolyNet": Case("architectures/disjoint-polynet", ()),
    # Of its two seeds the one that is compared is solved by then.
    "Transformer": Case("architectures/star-iii", ("--model.d_emb=32", "--model.heads=4"), steps=220),
}


def runner_of(case: Case, stack_size: int) -> StackRunner:
    return StackRunner([TrialConfigCLI(case.arguments).setting()], stack_size, compiled=False)


def outcomes_of(case: Case, seeds: int, stack_size: int = 8) -> list[TrialResult]:
    specs = (TrialSpec(seed, 0, seed) for seed in range(seeds))
    return sorted(result for some in runner_of(case, stack_size).run(specs) for result in some)


def compare(fit: Callable[..., Run], case: Case, alone: int) -> None:
    """Runs the seeds of a case in a stack, and the last of them one by one, and expects the same of 95 % of these.

    By eager steps; those in C++ are the same bit for bit, see test_compiled.py.
    """
    stacked = outcomes_of(case, case.seeds)
    same = 0
    for result in stacked[-alone:]:
        options = [*case.arguments[1:], *DATES, f"--seed_everything={result.number}", "--data.seed=null"]
        run = fit(*options, "--model.compile_after=null", config=CONFIGS / f"{case.config}.yaml").summary
        assert result.support == tuple(run["support"])
        same += (
            result.convergence_time == run["convergence_time"]
            and result.onset == run["onset"]
            and list(result.reached) == run["reached"]
            and result.steps == run["steps"]
            and result.stop_reason == run["stop_reason"]
            and result.val_accuracy == pytest.approx(run["val_accuracy"], abs=1e-6)
            and result.hidden_progress == pytest.approx(run["hidden_progress"], rel=1e-2)
        )
    assert same >= 0.95 * alone
    # A trial that is never solved has no date to compare; the cases are meant to be solved.
    assert sum(result.convergence_time is not None for result in stacked) >= case.seeds / 2


@pytest.mark.parametrize("name", CASES)
def test_stacked_trials_have_the_dates_of_runs_of_their_own(fit: Callable[..., Run], name: str) -> None:
    compare(fit, CASES[name], alone=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_many_stacked_trials_have_the_dates_of_runs_of_their_own(fit: Callable[..., Run], name: str) -> None:
    compare(fit, CASES[name]._replace(seeds=40, steps=max(CASES[name].steps, 400)), alone=40)


@pytest.mark.parametrize("name", ["ReLU", "finite, noisy", "Adam", "sinusoid", "Transformer", "float64"])
def test_first_weights_and_examples_are_those_of_fit_bit_for_bit(name: str) -> None:
    case = CASES[name]
    setting = TrialConfigCLI(case.arguments).setting()
    # Not the seed that the setting was parsed with, so it has to be made anew.
    parity, module = setting.start(3)
    made = TrialConfigCLI([*case.arguments, "--seed_everything=3"])
    for (name_here, here), (name_there, there) in zip(
        module.named_parameters(), made.model.named_parameters(), strict=True
    ):
        assert name_here == name_there
        assert torch.equal(here, there.to(here.dtype))
    x, y = parity.draw(torch.arange(100))
    x_fit, y_fit = made.datamodule.parity.draw(torch.arange(100))
    assert torch.equal(x, x_fit)
    assert torch.equal(y, y_fit)


@given(
    n=st.integers(1, 200),
    seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4),
    noise=st.sampled_from([0.0, 0.25]),
    data=st.data(),
)
def test_stacked_parities_draw_the_bits_of_each(n: int, seeds: list[int], noise: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, min(n, 5)))
    parities = [SparseParity(n, k, seed=seed, label_noise=noise) for seed in seeds]
    index = torch.tensor([[data.draw(st.integers(0, 2**62)) for _ in range(3)] for _ in seeds])
    for stream in ("train", "validation"):
        x, y = stack_parities(parities).draw(index, n, stream, noisy=noise > 0)
        for place, parity in enumerate(parities):
            x_alone, y_alone = parity.draw(index[place], stream)
            assert torch.equal(x[place], x_alone)
            assert torch.equal(y[place], y_alone)


def test_trials_do_not_depend_on_their_company() -> None:
    case = CASES["ReLU"]
    few, many = outcomes_of(case, 5, stack_size=2), outcomes_of(case, 5, stack_size=5)
    assert [result.convergence_time for result in few] == [result.convergence_time for result in many]
    assert [result.number for result in few] == list(range(5))


def test_a_trial_that_is_not_solved_has_no_onset_though_it_has_left_its_plateau() -> None:
    results = outcomes_of(CASES["ReLU"]._replace(options=("--trainer.max_steps=35",)), 4)
    assert max(result.val_accuracy for result in results) > 0.75
    for result in results:
        assert (result.convergence_time, result.onset) == (None, None)
        # Not a multiple of the steps between evaluations.
        assert (result.steps, result.stop_reason) == (35, "max_steps")


def test_a_stack_follows_a_run_of_its_own_step_by_step() -> None:
    # In float64: where a gradient is next to nothing, Adam makes much of how it is rounded.
    case = Case("online", ("--model.optimizer=Adam", "--model.optimizer.lr=0.01", "--trainer.precision=64"))
    runner = runner_of(case, 3)
    setting = runner._settings[0]
    with torch.no_grad():
        for seed in range(3):
            runner.add(TrialSpec(seed, 0, seed))
        runner.train(40)
    for seed in range(3):
        parity, module = setting.start(seed)
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        for step in range(40):
            x, y = parity.draw(torch.arange(step * 32, step * 32 + 32))
            optimizer.zero_grad()
            torch.relu(1 - module.network(x.double()) * y.double()).mean().backward()
            optimizer.step()
        for stacked, alone in zip(runner.stack.weights_of(seed)[0], module.parameters(), strict=True):
            torch.testing.assert_close(stacked, alone, rtol=1e-9, atol=1e-12)


class Dropping(ParityModule):
    """Draws random numbers in training."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        layers = torch.nn.Linear(n, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
        super().__init__(torch.nn.Sequential(*layers), **kwargs)


class Normed(ParityModule):
    """Changes buffers in training."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        layers = torch.nn.Linear(n, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1)
        super().__init__(torch.nn.Sequential(*layers), **kwargs)


class Stepping(MLP):
    """Does steps its own way."""

    def training_step(self, batch: Any) -> Any:
        return super().training_step(batch)


class Warming(MLP):
    """Asks for the step."""

    def loss(self, prediction: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return super().loss(prediction, y) * min(1.0, self.global_step / 100)


class TwoFaced(MLP):
    """Predicts otherwise when it trains."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if self.training else -super().forward(x)


class Branching(MLP):
    """Looks at values to decide what to compute."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return 2 * y if y.max() > 100 else y


class Beginning(MLP):
    """Does something of its own at the start."""

    def on_fit_start(self) -> None:
        with torch.no_grad():
            self.first_layer.zero_()


class Halving(Callback):
    """Changes the learning rate at evaluations."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.optimizers[0].param_groups[0]["lr"] /= 2


class Telling(MLP):
    """Looks at its hyperparameters, which a bare one has not."""

    def __init__(self, n: int, units: int = 9, **kwargs: Any) -> None:
        super().__init__(n, 2, width=units, **kwargs)
        self.units = self.hparams["units"]


class ReadyMade(ParityModule):
    """Is given its network."""

    def __init__(self, network: torch.nn.Module, **kwargs: Any) -> None:
        super().__init__(network, **kwargs)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--model=test_trials_stack.Dropping"], "random numbers"),
        (["--model=test_trials_stack.Normed"], "buffers"),
        (["--model=test_trials_stack.Stepping"], "hook of single steps"),
        (["--model=test_trials_stack.Warming"], "reads the step or the trainer"),
        (["--model=test_trials_stack.TwoFaced"], "otherwise when it trains"),
        (["--model=test_trials_stack.Branching"], "cannot be computed for several trials at once"),
        (["--model=test_trials_stack.Beginning"], "overrides on_fit_start"),
        (["--trainer.callbacks+=test_trials_stack.Halving"], "the callback Halving may act on the training"),
        (["--model.optimizer=RMSprop"], "none of SGD"),
        (["--model.optimizer=Adam", "--model.optimizer.amsgrad=true"], "amsgrad"),
        (["--trainer.gradient_clip_val=1"], "between single steps"),
        (["--trainer.precision=bf16-mixed"], "neither 32 nor 64"),
    ],
)
def test_what_cannot_be_stacked_says_why(options: list[str], why: str) -> None:
    own = "--allow_code_from=test_trials_stack"
    arguments = [f"--config={CONFIGS / 'online.yaml'}", "--data.n=12", "--trainer.accelerator=cpu", own, *options]
    with pytest.raises(Unstackable, match=why):
        StackRunner([TrialConfigCLI(arguments).setting()], 2, compiled=False)


def test_a_network_that_is_handed_over_ready_made_cannot_be_stacked() -> None:
    from parity_lightning.engine.trial_config import TrialConfig

    network = torch.nn.Sequential(torch.nn.Linear(10, 1))
    with pytest.raises(Unstackable, match="ready made"):
        TrialConfig(ReadyMade(network), SparseParity(10, 2), 32, None, 100, 10)


def test_a_stack_computes_as_the_rows_on_record_were(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = TrialConfigCLI(CASES["ReLU"].arguments).setting()
    specs = [TrialSpec(0, 0, 0)]
    (first,) = (result for some in StackRunner([setting], 1, compiled=False).run(specs) for result in some)
    assert first.computed.startswith("eager, torch ")
    # Begun without a compiler: none is asked for now.
    monkeypatch.setattr(Stack, "compile", lambda self: pytest.fail("compiles"))
    again = StackRunner([setting], 1, compiled=True, computed=first.computed)
    assert again.note is not None
    assert "going on without compiled steps" in again.note
    (second,) = (result for some in again.run(specs) for result in some)
    assert second == first
    # Begun in a way that is not had here.
    other = StackRunner([setting], 1, compiled=False, computed="compiled, torch 2.13.0, AVX2, 1 thread")
    with pytest.raises(MixedComputation, match=r"another way \(compiled, .*\) than here \(eager, "):
        next(other.run(specs))


def test_a_diverged_trial_ends_where_it_would_alone(fit: Callable[..., Run]) -> None:
    options = ("--model.activation=power", "--model.loss=square", "--trainer.val_check_interval=100")
    case = Case("online", options, steps=250)
    calm, wild = (TrialConfigCLI([*case.arguments, f"--model.optimizer.lr={lr}"]).setting() for lr in (0.001, 1e3))
    specs = [TrialSpec(0, 0, 0), TrialSpec(1, 1, 0)]
    both = sorted(result for some in StackRunner([calm, wild], 2, compiled=False).run(specs) for result in some)
    (alone,) = (result for some in StackRunner([wild], 1, compiled=False).run([TrialSpec(1, 0, 0)]) for result in some)
    assert both[1] == alone
    assert alone.stop_reason == "diverged"
    run = fit(*case.arguments[1:], "--model.optimizer.lr=1e3", "--seed_everything=0", "--model.compile_after=null")
    assert (run.summary["steps"], run.summary["stop_reason"]) == (alone.steps, "diverged")


@pytest.mark.parametrize("name", ["my_network.MyNetwork", "gated_mlp.GatedMLP", "test_trials_stack.Telling"])
def test_modules_of_users_are_stacked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    own = f"--allow_code_from={name.partition('.')[0]}"
    case = Case("online", (f"--model={name}", "--model.optimizer.lr=0.1", own))
    results = outcomes_of(case, 4)
    assert [result.number for result in results] == [0, 1, 2, 3]
    assert all(result.stop_reason in ("solved", "max_steps") for result in results)
