"""How much work an experiment may be asked for: what would take hours, or more memory than a laptop has, is refused."""

from __future__ import annotations

from parity_lightning.errors import SettingError

MOST_NUMBERS = 50_000_000
"""Floating-point numbers held in memory at once: 400 MB of float64."""

MOST_STEP_OPERATIONS = 2 * 10**12
"""Multiplications in all steps of networks trained or drawn side by side: about half an hour on one core."""

STEP_OVERHEAD = 10**6
"""A step takes as long as so many multiplications, however small the networks are."""

MOST_SOLVER_OPERATIONS = 10**11
"""Multiplications for all success rates of the solvers from samples that are enough: there are ten such rates."""

DRAW_OPERATIONS = 2_500
"""To draw 128 bits takes as long as so many multiplications."""

SCREENED_EXAMPLES = 128
"""Held-out examples that every network is tried on before all others."""

MOST_SETS = 2_000_000
"""Sets of k coordinates that one exhaustive search scores."""

MOST_TRIES = 20_000_000
"""Sets of coordinates that all random searches try together."""


def most_steps(operations_a_step: int) -> int:
    """How many steps of so many multiplications each may be taken.

    Example:
        >>> most_steps(10**6)
        1000000
    """
    return MOST_STEP_OPERATIONS // (STEP_OVERHEAD + operations_a_step)


def check_training(n: int, networks: int, width: int, batch_size: int, max_steps: int, every: int) -> None:
    """Refuses ReLU networks that would not fit in memory side by side, or would train for hours.

    Raises:
        SettingError: If so.
    """
    fitting = (MOST_NUMBERS // networks - n * width) // (n + width)
    if fitting < SCREENED_EXAMPLES:
        raise SettingError("width", width, f"too much for {networks:,} networks of {n:,} inputs: take fewer of either")
    if batch_size > fitting:
        hint = f"too much for {networks:,} networks of {n:,} inputs and width {width:,}: take at most {fitting:,}"
        raise SettingError("batch_size", batch_size, hint)
    steps = most_steps(networks * batch_size * n * width)
    if max_steps > steps:
        hint = f"too many for {networks:,} networks of width {width:,}: take at most {steps:,}"
        if steps < every:
            raise SettingError("every", every, hint)
        raise SettingError("max_steps", max_steps, hint)


def check_langevin_search(n: int, units: int, langevin_networks: int, tries: int) -> None:
    """Refuses randomly moving networks that would not fit in memory, or would take hours.

    Raises:
        SettingError: If so.
    """
    fitting = MOST_NUMBERS // (2**n * units)
    if langevin_networks > fitting:
        raise SettingError(
            "langevin_networks", langevin_networks, f"too many for 2^{n} inputs: take at most {fitting:,}"
        )
    most = most_steps(langevin_networks * 2**n * units * (n + 2))
    if tries > most:
        raise SettingError(
            "langevin_tries", tries, f"too many for {langevin_networks:,} networks: take at most {most:,}"
        )


def check_searches(n: int, subsets: int, searches: int, examples: int, fewest: int) -> None:
    """Refuses searches among sets of coordinates that would try too many sets, or hold too many examples.

    Args:
        n: Inputs.
        subsets: How many sets there are.
        searches: How many searches.
        examples: On how many examples each set is tried.
        fewest: The fewest searches that there may be.

    Raises:
        SettingError: If so.
    """
    fitting = min(MOST_TRIES // subsets, MOST_NUMBERS // (examples * n))
    if searches > fitting:
        if fitting < fewest:
            raise SettingError("search_n", n, "has too many sets to search: take a smaller one")
        raise SettingError("searches", searches, f"there are {subsets:,} sets to search: take at most {fitting:,}")
