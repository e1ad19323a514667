"""The same trials as an expert would write them in JAX: vmap over trials, scan over steps, all of it jitted.

After the way of PureJaxRL: one program, fresh random examples at every step, a parity of its own for every trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Net = Callable[[Any, Any], Any]


class Work(NamedTuple):
    """What is trained."""

    family: str
    n: int = 50
    k: int = 3
    width: int = 100
    batch_size: int = 32
    lr: float = 0.1


def network(work: Work) -> tuple[Net, Callable[[Any], Any]]:
    """A network as a function of weights and inputs, and one that draws weights (Xavier's uniform law)."""
    n, k, width = work.n, work.k, work.width

    def uniform(key: Any, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Any:
        bound = (6 / (fan_in + fan_out)) ** 0.5
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    if work.family == "polynet":

        def draw_factors(key: Any) -> Any:
            first, second = jax.random.split(key)
            return {"w": uniform(first, (k, n), n, k), "b": uniform(second, (k,), n, k)}

        return lambda p, x: (x @ p["w"].T + p["b"]).prod(-1), draw_factors

    activation = {"relu": jax.nn.relu, "power": lambda z: z**k, "sinusoid": jnp.sin}[work.family]

    def draw(key: Any) -> Any:
        first, second, third = jax.random.split(key, 3)
        return {
            "w": uniform(first, (width, n), n, width),
            "b": uniform(second, (width,), n, width),
            "u": uniform(third, (width,), width, 1),
        }

    return lambda p, x: activation(x @ p["w"].T + p["b"]) @ p["u"], draw


def examples(key: Any, support: Any, count: int, n: int) -> tuple[Any, Any]:
    """Random examples of a parity."""
    x = jax.random.rademacher(key, (count, n), dtype=jnp.float32)
    return x, x[:, support].prod(-1)


def make(work: Work, trials: int, steps: int) -> tuple[Callable[[Any], Any], Any, Net]:
    """A jitted function that takes so many steps of all trials, and where they begin."""
    net, draw = network(work)

    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.maximum(0, 1 - net(p, x) * y).mean()

    def step(carry: Any, _: Any) -> Any:
        p, key, support = carry
        key, own = jax.random.split(key)
        x, y = examples(own, support, work.batch_size, work.n)
        value, gradient = jax.value_and_grad(loss)(p, x, y)
        return (jax.tree.map(lambda w, g: w - work.lr * g, p, gradient), key, support), value

    run = jax.jit(jax.vmap(lambda carry: jax.lax.scan(step, carry, None, length=steps)))
    keys = jax.random.split(jax.random.PRNGKey(0), trials)
    choose = jax.vmap(lambda key: jax.random.choice(key, work.n, (work.k,), replace=False))
    return run, (jax.vmap(draw)(keys), keys, choose(keys)), net


def rate(work: Work, trials: int, seconds: float = 1.5) -> float:
    """Trial-steps per second, without evaluation and without compiling."""
    steps = 100 if work.width * work.batch_size < 100_000 else 5
    run, carry, _ = make(work, trials, steps)
    jax.block_until_ready(run(carry))
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        carry, losses = run(carry)
        jax.block_until_ready(losses)
        calls += 1
    return calls * steps * trials / (time.perf_counter() - start)


def solve(work: Work, trials: int, every: int = 100, held_out: int = 2**13) -> float:
    """Seconds of training until all trials are solved, each evaluated on 2^13 examples every 100 steps."""
    run, first, net = make(work, trials, every)
    # Drawn once, and the same inputs for all trials: the cheapest way to have them.
    x_val = jax.random.rademacher(jax.random.PRNGKey(1), (held_out, work.n), dtype=jnp.float32)

    @jax.jit
    def solved(p: Any, supports: Any) -> Any:
        return jax.vmap(lambda own, support: (net(own, x_val) * x_val[:, support].prod(-1) > 0).all())(p, supports)

    jax.block_until_ready((run(first), solved(first[0], first[2])))
    carry, done = first, jnp.zeros(trials, bool)
    start = time.perf_counter()
    while not bool(done.all()):
        carry, _ = run(carry)
        done = done | solved(carry[0], carry[2])
    return time.perf_counter() - start
