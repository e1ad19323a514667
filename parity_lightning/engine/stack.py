"""A stack of trials: their tensors side by side, and the steps and evaluations of all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from parity_lightning.data.parity_stack import ParityStack, stack_parities, words_of
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.allocator import keep_freed_memory
from parity_lightning.engine.computation import Computation, Training
from parity_lightning.engine.cuda_graph import GraphRecorder
from parity_lightning.engine.evaluation import ErrorCounts
from parity_lightning.engine.graphed_steps import GraphedSteps
from parity_lightning.engine.native.check import check_closed_form
from parity_lightning.engine.native.make import make_drawing, make_steps
from parity_lightning.engine.native.steps import NativeSteps
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.traced_steps import TracedSteps
from parity_lightning.engine.trainable import Trainable
from parity_lightning.engine.update_rules import UpdateFunction, find_rule, groups_of, options_of

# The tensors of a stack: those that examples are drawn from, the options, the number of updates, the weights.
_WORDS = len(ParityStack._fields)
_WEIGHTS = _WORDS + 2


class Stack:
    """Up to ``size_limit`` trials that are trained together: their tensors lie one after another in memory.

    Trials have the places 0 to ``size - 1``. When one is dropped, the last one moves to its place: the trials in the
    stack always lie together, and dropped ones cost nothing.

    Args:
        objective: What is trained.
        rule: How weights are updated.
        groups: For each trainable tensor, the number of its parameter group.
        parity: A parity with the n and k of all.
        batch_size: Examples in a step of one trial.
        noisy: Whether there is label noise in any trial.
        size_limit: How many trials there may be at a time.
        evaluated_at_once: How many held-out examples to evaluate in one call.
        device: Where the trials lie; by default where the first one's weights do.
    """

    def __init__(
        self,
        objective: Objective,
        rule: UpdateFunction,
        groups: Sequence[int],
        parity: SparseParity,
        batch_size: int,
        noisy: bool,
        size_limit: int,
        evaluated_at_once: int = 1024,
        device: torch.device | None = None,
    ) -> None:
        keep_freed_memory()
        self.size_limit = size_limit
        self.size = 0
        self._objective = objective
        self._training = Training(objective, rule, groups, parity.n, noisy, batch_size)
        self._layout = self._training.layout
        self._options = (max(groups) + 1) * len(rule.options)
        self._device = device
        self._buffers: list[Tensor] = []
        self._carried = 0
        self._is_adopted = False
        self._views: list[Tensor] | None = None
        self._traced = TracedSteps(self._training, evaluated_at_once)
        self._computation: Computation = self._traced

    @classmethod
    def of(
        cls,
        modules: Sequence[Trainable],
        parities: Sequence[SparseParity],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        batch_size: int,
    ) -> Stack:
        """A stack of networks of one shape, each with a parity of its own and the same optimizer.

        Args:
            modules: T networks with their losses; their weights are copied.
            parities: T parities of the same n and k.
            optimizer: Makes the optimizer from parameters.
            batch_size: Examples in a step of one network.

        Raises:
            Unstackable: If they cannot be trained in a stack.

        Example:
            >>> from parity_lightning.engine.trainable import NetworkWithLoss
            >>> from parity_lightning.nets import TwoLayerMLP
            >>> from parity_lightning.optim.losses import find_loss
            >>> _ = torch.manual_seed(0)
            >>> modules = [NetworkWithLoss(TwoLayerMLP(n=6, k=2, width=20), find_loss("hinge")) for _ in range(3)]
            >>> parities = [SparseParity(n=6, k=2, seed=seed) for seed in range(3)]
            >>> stack = Stack.of(modules, parities, lambda weights: torch.optim.SGD(weights, lr=0.1), batch_size=16)
            >>> before = stack.errors(0, 1024)
            >>> losses, _ = stack.run(online_indices(torch.zeros(3, dtype=torch.int64), steps=300, batch_size=16))
            >>> losses.shape, bool((stack.errors(0, 1024) < before).all())
            (torch.Size([300, 3]), True)
        """
        with torch.no_grad():
            objective = Objective(modules[0], parities[0].n)
            made = optimizer(modules[0].parameters())
            rule = find_rule([made])
            groups = groups_of(made, objective.parameters_of(modules[0]))
            noisy = any(parity.flip_below for parity in parities)
            stack = cls(objective, rule, groups, parities[0], batch_size, noisy, size_limit=len(modules))
            for module, parity in zip(modules, parities, strict=True):
                stack.put(parity, module, options_of(rule, made))
        return stack

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of the trials, each of shape ``(size, ...)``: their parities, options, weights and so on."""
        if self._views is None:
            self._views = [buffer[: self.size] for buffer in self._buffers[: len(self._buffers) - self._carried]]
        return self._views

    @property
    def carried(self) -> list[Tensor]:
        """The tensors that go along with the trials and take no part in anything, each of shape ``(size, ...)``."""
        return [buffer[: self.size] for buffer in self._buffers[len(self._buffers) - self._carried :]]

    @property
    def _weight_tensors(self) -> list[Tensor]:
        return self.tensors[_WEIGHTS:]

    @property
    def steps_made(self) -> Tensor:
        """How many updates each optimizer has made, float64 of shape ``(size,)``."""
        return self.tensors[_WORDS + 1]

    @property
    def options(self) -> Tensor:
        """The optimizers' options, float64 of shape ``(size, options)``; written to in place."""
        return self.tensors[_WORDS]

    def put(self, parity: SparseParity, module: Trainable, options: Sequence[float]) -> int:
        """Adds a trial that begins with the weights of a module; returns its place."""
        trainable, frozen = ([tensor.unsqueeze(0) for tensor in part] for part in self._objective.tensors_of(module))
        option = torch.tensor([list(options)], dtype=torch.float64)
        self.put_all(stack_parities([parity]), trainable, frozen, option)
        return self.size - 1

    def put_all(
        self,
        words: Sequence[Tensor],
        trainable: Sequence[Tensor],
        frozen: Sequence[Tensor],
        options: Tensor,
        carried: Sequence[Tensor] = (),
    ) -> None:
        """Adds m trials at the end; there must be room for them.

        Args:
            words: What their examples depend on, as in `ParityStack`.
            trainable: Their trainable weights, each of shape ``(m, ...)``; the optimizer keeps zeros for them.
            frozen: Their other tensors, likewise.
            options: The optimizers' options, float64 of shape ``(m, options)``.
            carried: Tensors of shape ``(m, ...)`` that go along with them and take no part, see `carried`.
        """
        count = len(options)
        state = [None for _ in trainable for _ in range(self._layout.states_each)]
        values: list[Tensor | None] = [*words, options, None, *trainable, *state, *frozen, *carried]
        if not self._buffers:
            like = [*words, options, options[:, 0], *trainable]
            like += [weight for weight in trainable for _ in range(self._layout.states_each)]
            like += [*frozen, *carried]
            device = trainable[0].device if self._device is None else self._device
            self._buffers = [
                torch.zeros((self.size_limit, *tensor.shape[1:]), dtype=tensor.dtype, device=device) for tensor in like
            ]
            self._carried = len(carried)
        added = slice(self.size, self.size + count)
        for buffer, value in zip(self._buffers, values, strict=True):
            if value is None:
                buffer[added] = 0
            else:
                buffer[added] = value
        self.size += count
        self._views = None

    def adopt(self, parity: SparseParity, module: Trainable, state: Sequence[Tensor], steps: int) -> None:
        """Makes a module itself the only trial: its weights, and its optimizer's state, are trained in place.

        Args:
            parity: What it learns.
            module: The module.
            state: Its optimizer's state of the first trainable weight, of the next, and so on.
            steps: How many updates the optimizer has made.
        """
        trainable, frozen = self._objective.tensors_of(module)
        option = torch.zeros(self._options, dtype=torch.float64, device=trainable[0].device)
        words = [word.to(option.device) for word in words_of(parity)]
        values = [*words, option, torch.full_like(option[0], steps), *trainable, *state, *frozen]
        self._buffers = [value.unsqueeze(0) for value in values]
        self.size, self._views, self._is_adopted = 1, None, True

    def drop(self, places: Sequence[int]) -> list[int]:
        """Removes trials; trials from the end move to their places.

        Args:
            places: Of the trials to remove.

        Returns:
            The former place of each trial that is left.
        """
        order = list(range(self.size))
        for place in sorted(places, reverse=True):
            order[place] = order[-1]
            order.pop()
        moved = [(place, former) for place, former in enumerate(order) if place != former]
        if moved:
            places_now, places_before = torch.tensor(moved, device=self._buffers[0].device).T.contiguous()
            for buffer in self._buffers:
                # Half as long as by indexing, where there are few trials to move.
                buffer.index_copy_(0, places_now, buffer.index_select(0, places_before))
        self.size, self._views = len(order), None
        return order

    def weights_of(self, places: int | Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The trainable and the frozen tensors of one trial, without a trial axis; or of several, copied."""
        trainable, _, frozen = self._layout.parts([view[places] for view in self._weight_tensors])
        return list(trainable), list(frozen)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The trainable weights by the names they have in the module, each of shape ``(size, ...)``; views."""
        return dict(zip(self._objective.names, self._layout.parts(self._weight_tensors)[0], strict=True))

    def predict(self, x: Tensor) -> Tensor:
        """The outputs for inputs of shape ``(size, B, n)``, or ``(B, n)`` for all trials alike: ``(size, B)``."""
        trainable, _, frozen = self._layout.parts(self._weight_tensors)
        x = x if x.dim() == 3 else x.expand(self.size, *x.shape)
        with torch.no_grad():
            return self._objective.losses(trainable, frozen, x, x[..., 0])[1]

    def step(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Takes one SGD step of every trial.

        Args:
            index: Which training examples, int64 of shape ``(size, B)``.

        Returns:
            The losses and the numbers of errors before the update, both of shape ``(size,)``.
        """
        losses, errors = self.run(index.unsqueeze(0))
        return losses[0], errors[0]

    def run(self, indices: Tensor, options: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Takes several SGD steps of every trial.

        Args:
            indices: Which training examples, int64 of shape ``(steps, size, B)``.
            options: The optimizers' options at each step, float64 of shape ``(steps, size, options)``; None to leave
                them as they are.

        Returns:
            The losses and the numbers of errors before each update, both of shape ``(steps, size)``.
        """
        chosen = self.options if options is None else options
        found = self._computation.run(self.tensors[:_WORDS], chosen, self.steps_made, self._weight_tensors, indices)
        if options is not None:
            self.options.copy_(options[-1])
        return found

    def errors(self, first: int, end: int, places: Tensor | None = None) -> Tensor:
        """Counts errors on the validation examples ``first .. end - 1``.

        Args:
            first: The first example.
            end: The one after the last.
            places: Of which trials; all by default.

        Returns:
            int64 tensor of shape ``(size,)``, or of one count for each place.
        """
        if places is None:
            places = torch.arange(self.size, device=self.options.device)
        return self._computation.errors(self.tensors[:_WORDS], self._weight_tensors, places, first, end)

    def evaluate(self, screen_size: int, places: Tensor) -> ErrorCounts:
        """Counts errors on a screen, and confirms trials without any there; see `screen_then_confirm`.

        Args:
            screen_size: How many examples the screen has.
            places: Of which trials.
        """
        return self._computation.evaluate(self.tensors[:_WORDS], self._weight_tensors, places, screen_size)

    def use_native_code(self) -> bool:
        """Takes steps and evaluates by code of our own from now on, if the networks have a closed form.

        On a CPU it is C++, on an NVIDIA GPU it is CUDA; for other networks it draws examples there.

        Returns:
            Whether it takes steps there.

        Raises:
            NotCompiled: If there is no C++ compiler, for example; then all stays as it is.
            SettingError: If others can write to the folder of compiled functions.
        """
        if not all(tensor.is_contiguous() for tensor in self.tensors):
            return False
        weights = self._weight_tensors
        if self._objective.closed_form is not None:
            trainable, _, frozen = self._layout.parts(weights)
            with suppress(NotCompiled), torch.no_grad():
                check_closed_form(self._objective, self._training.n, trainable, frozen)
                self._computation = make_steps(self._training, weights)
        if not self.is_native:
            self._traced.draw_by(make_drawing(self._training.n, weights[0]))
        return self.is_native

    @property
    def is_native(self) -> bool:
        """Whether steps are taken by code of our own."""
        return isinstance(self._computation, NativeSteps)

    @property
    def computed(self) -> str:
        """How steps are computed: by which code of our own, compiled or eager."""
        return self._computation.version

    def compile(self, evaluation: bool = True) -> None:
        """Takes steps and evaluates by code of our own, or compiles both; the stack must hold a trial, as an example.

        What our own code cannot do is compiled on a CPU, and recorded on an NVIDIA GPU, see `GraphedSteps`.

        Args:
            evaluation: Whether to compile evaluations, too.

        Raises:
            NotCompiled: If one of them cannot be compiled; then neither is.
        """
        # What our own code cannot do may still be compiled.
        with suppress(NotCompiled):
            if self.use_native_code():
                return
        words, (options, steps_made, *weights) = self.tensors[:_WORDS], self.tensors[_WORDS:]
        # A module that is trained itself takes few steps a call. A graph, which has weights of its own, would copy the
        # module's to and fro for each of them, and compute for more trials than there are.
        if weights[0].device.type == "cuda" and not self._is_adopted:
            recorder = GraphRecorder(weights[0].device)
            self._computation = GraphedSteps(
                self._training, self._traced, words, options, steps_made, weights, recorder
            )
            return
        self._traced.compile(words, options, steps_made, weights, evaluation)


def online_indices(first_steps: Tensor, steps: int, batch_size: int) -> Tensor:
    """Which training examples the next steps of online trials take.

    Args:
        first_steps: How many steps each trial has taken, int64 of shape ``(T,)``.
        steps: For how many steps.
        batch_size: The batch size B.

    Returns:
        int64 tensor of shape ``(steps, T, B)``.
    """
    device = first_steps.device
    reached = first_steps + torch.arange(steps, device=device).unsqueeze(-1)
    return reached.unsqueeze(-1) * batch_size + torch.arange(batch_size, device=device)
