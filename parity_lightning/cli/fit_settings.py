"""What the options of ``fit`` mean for the cells of a study: all are parsed before anything runs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import parity_lightning
from parity_lightning.cli.given import GivenSettings, option_path
from parity_lightning.cli.option_types import Option
from parity_lightning.cli.shipped_configs import announce, instead_of
from parity_lightning.cli.trial_config import TrialConfigCLI
from parity_lightning.errors import SettingError, UsageError, check_int
from parity_lightning.studies.cells import Cell, Grid, options_of, values_of
from parity_lightning.studies.settings import Settings, column_of, flat
from parity_lightning.studies.variations import as_text

DATA_SEED = ("data.seed", "data.init_args.seed")

# Up to so many cells are all made before the first trial, at a hundredth of a second each; of more, each value alone.
_MOST_CHECKED = 256

# Of an option with more numbers than that only the first, the smallest and the largest are parsed.
_MOST_NUMBERS = 64

# Options that came after stores were begun: at their default they are not named, so that these stores go on.
_LATER = ("model.init_args.initialization_factors", "model.init_args.initialization_offsets")

# Options that decide which other options there are. Their combinations are all parsed.
_STRUCTURE = ("config", "data", "model", "model.optimizer", "model.lr_scheduler", "trainer")


class FitSettings:
    """Parses the cells of a study.

    Args:
        options: What every cell gives to ``fit``.
        cells: What each gives beside.
        compiled: Whether steps are compiled, where that can be.
        own: The options that the command has for itself, to suggest one of them where another is unknown.
        known: The settings of cells that were parsed before, as `known` has them.

    Raises:
        SettingError: If seeds are varied, which are replicates.
        UsageError: If options are refused.

    Where configurations that come with the package are taken, one line on standard error says which.

    Attributes:
        first: The first cell, parsed.
        parsed: The cells that were parsed, by what they have to be parsed for; of very many only the first.
        settings: What decides the trials of each cell.
        known: The same, by what they have to be parsed for.
        paths: The path of each varied option in the configuration, where it has one.
    """

    def __init__(
        self,
        options: Sequence[str],
        cells: Sequence[Cell],
        compiled: bool,
        own: Mapping[str, Option] | None = None,
        known: Mapping[str, Settings] | None = None,
    ) -> None:
        self._options = tuple(options)
        self._compiled = compiled
        self._own = own
        self.known: dict[str, Settings] = {}
        self.parsed: dict[str, TrialConfigCLI] = {}
        names = options_of(cells)
        for name in names:
            if option_path(name) == "seed_everything":
                hint = "is every trial's own; give --seed_everything and --trials, or vary data.seed"
                raise SettingError("--vary", name, hint)
            if name in DATA_SEED:
                for value in values_of(cells, name):
                    check_int(f"--vary {name}", value, at_least=0, at_most=2**64 - 1)
        distinct = {without_seed(cell) for cell in cells}
        self._checks_all = len(distinct) <= _MOST_CHECKED
        self._parse(cells[0])
        self.known |= known or {}
        self.first = self.parsed[without_seed(cells[0])]
        announce(self._shipped(cells))
        self.settings = list(self._put_together(cells))
        first = self.settings[0].values
        self.paths = {name: path for name in names if (path := path_of(name, first)) is not None}
        self._constant = {name for name in names if len(list(islice(values_of(cells, name), 2))) < 2}
        self._columns = {name: _column(name, self.paths.get(name)) for name in names}

    def _shipped(self, cells: Sequence[Cell]) -> Iterator[str]:
        """The names for which configurations that come with the package are taken."""
        yield from GivenSettings.of(["fit", *self._options]).shipped
        for name in options_of(cells):
            if option_path(name) == "config":
                yield from (str(file) for file in values_of(cells, name) if instead_of(str(file)))

    @property
    def columns(self) -> list[str]:
        """The columns of options that have several values."""
        return [column for name, column in self._columns.items() if name not in self._constant]

    def varied_in(self, cell: Cell) -> dict[str, Any]:
        """The values that a cell gives to what varies, by column."""
        return {self._columns[name]: value for name, value in cell.items()}

    def _parse(self, cell: Cell) -> Settings:
        name = without_seed(cell)
        if name not in self.known:
            self.known[name] = self._settings_of(TrialConfigCLI(command_line(self._options, cell), self._own), cell)
        return self.known[name]

    def _settings_of(self, cli: TrialConfigCLI, cell: Cell) -> Settings:
        if self._checks_all or not self.parsed:
            self.parsed[without_seed(cell)] = cli
        values = {path: each for path, each in flat(cli.whole_config()).items() if each or path not in _LATER}
        if cli.follows_seed:
            # Each trial's own.
            values["data.init_args.seed"] = None
        values |= {"version": parity_lightning.__version__, "compiled": self._compiled, "code": cli.own_code()}
        overlays = {option: as_text(value) for option, value in cell.items() if option_path(option) == "config"}
        return Settings(_plain(values), {}, {**cli.names(), **overlays})

    def _seeded(self, settings: Settings, cell: Cell) -> Settings:
        # The seed of the data is no matter of the parser: there may be thousands.
        seeds = [cell[name] for name in DATA_SEED if name in cell]
        return settings._replace(own={**settings.own, "data.init_args.seed": seeds[0]}) if seeds else settings

    def _put_together(self, cells: Sequence[Cell]) -> Iterator[Settings]:
        """The settings of cells, of those of each value: parsed once for each structure."""
        bases: dict[str, _Base] = {}
        numbers = {name: _extremes(list(values_of(cells, name))) for name in options_of(cells)}
        new = [cell for cell in cells if without_seed(cell) not in self.known] if self.known else cells
        scattered = _scattered(new)
        for cell in cells:
            name, structure = without_seed(cell), _structure_of(cell)
            if name not in self.known and structure in scattered:
                self._parse(cell)
            if name not in self.known:
                if structure not in bases:
                    bases[structure] = _Base(cell, self._parse(cell), self._parse, numbers)
                found = bases[structure].settings_of(cell)
                if found is None or (self._checks_all and not self._can_be(bases[structure].cell, found)):
                    # The parser says what is wrong.
                    found = self._parse(cell)
                self.known[name] = found
            yield self._seeded(self.known[name], cell)

    def _can_be(self, base: Cell, settings: Settings) -> bool:
        """Whether the objects of a cell can be made that was put together; each of its values alone was parsed."""
        try:
            self.parsed[without_seed(base)].with_values(settings.own)
        except Exception:
            return False
        return True


class _Base:
    """A parsed cell, and what another value of each of its options changes."""

    def __init__(self, cell: Cell, settings: Settings, parse: Any, numbers: Mapping[str, Sequence[Any]]) -> None:
        self.cell = cell
        self._settings = settings
        self._parse = parse
        self._numbers = numbers
        self._changes: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}

    def settings_of(self, cell: Cell) -> Settings | None:
        """The settings of a cell with the same structure; None if one of its values is refused beside the base's."""
        own: dict[str, Any] = {}
        columns = dict(self._settings.columns)
        for option, value in cell.items():
            if option not in DATA_SEED and value != self.cell[option]:
                try:
                    changes, beside = self._of(option, value)
                except UsageError:
                    return None
                own |= changes
                columns |= beside
        return Settings(self._settings.base, own, columns)

    def _of(self, option: str, value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        name = (option, json.dumps(value, default=str))
        if name not in self._changes:
            self._changes[name] = self._inferred(option, value) or self._parsed(option, value)
        return self._changes[name]

    def _parsed(self, option: str, value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        parsed = self._parse({**self.cell, option: value})
        base, columns = self._settings.base, self._settings.columns
        changes = {path: each for path, each in parsed.base.items() if path not in base or base[path] != each}
        return changes, {name: each for name, each in parsed.columns.items() if columns.get(name) != each}

    def _inferred(self, option: str, value: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What a number changes that lies between two that were parsed."""
        ends = self._numbers[option]
        if value in ends or not ends:
            return None
        end = next(each for each in ends if each != self.cell[option])
        changes, columns = self._of(option, end)
        if any(each != end for each in [*changes.values(), *columns.values()]):
            return None
        return dict.fromkeys(changes, value), dict.fromkeys(columns, value)


def _extremes(values: Sequence[Any]) -> list[Any]:
    """The smallest and the largest of very many numbers; nothing of other values, which are all parsed."""
    if len(values) <= _MOST_NUMBERS or any(type(value) not in (int, float) for value in values):
        return []
    return [min(values), max(values)]


def _structure_of(cell: Cell) -> str:
    """What decides which options a cell has."""
    return json.dumps([value for option, value in cell.items() if _is_structure(option, value)], default=str)


def _scattered(cells: Sequence[Cell]) -> set[str]:
    """The structures with fewer cells than values: to parse each cell is less work than to parse each value."""
    if isinstance(cells, Grid):
        return set()
    counts: Counter[str] = Counter()
    values: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for cell in cells:
        structure = _structure_of(cell)
        counts[structure] += 1
        values[structure] |= {(option, json.dumps(value, default=str)) for option, value in cell.items()}
    # The first cell has a value of each option.
    return {structure for structure, count in counts.items() if len(values[structure]) - len(cells[0]) >= count}


def _is_structure(option: str, value: Any) -> bool:
    return option_path(option).removesuffix(".class_path") in _STRUCTURE or isinstance(value, Mapping)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values as they are read back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain


def path_of(option: str, values: Mapping[str, Any]) -> str | None:
    """Where an option stands in a whole configuration; None if it does not."""
    name = option_path(option)
    return next((path for path in values if option_path(path).removesuffix(".class_path") == name), None)


def _column(option: str, path: str | None) -> str:
    """The column of a varied option."""
    if option in DATA_SEED:
        return "data_seed"
    return (path and column_of(path)) or option_path(option).rpartition(".")[2]


def without_seed(cell: Cell) -> str:
    """A name of what a cell has to be parsed for."""
    return json.dumps({name: value for name, value in cell.items() if name not in DATA_SEED}, default=str)


def command_line(options: Sequence[str], cell: Cell) -> list[str]:
    """The options of ``fit`` of a cell; configurations come before what is set beside them.

    Example:
        >>> command_line(["--config=online.yaml"], {"model.width": 7, "config": "wide.yaml"})
        ['--config=online.yaml', '--config=wide.yaml', '--model.width=7']
    """
    given = sorted(cell.items(), key=lambda item: option_path(item[0]) != "config")
    return [*options, *(f"--{name}={as_text(value)}" for name, value in given)]
