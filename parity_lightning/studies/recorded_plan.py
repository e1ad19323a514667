"""What was planned when a file was written, to tell whether it is a part of what is asked for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from parity_lightning.studies.cells import Extent
from parity_lightning.studies.settings import Settings, differences

_MOST_COMPARED = 1000
_MOST_TOLD = 4


class RecordedPlan(NamedTuple):
    """The plan of a file.

    Attributes:
        first_seed: The seed of the first trial of each cell.
        trials: How many trials a cell has.
        lost: The settings of cells that are not asked for now; of those the first is enough.
    """

    first_seed: int
    trials: int
    lost: Sequence[Mapping[str, Any]]

    def why_not_in(self, extent: Extent, settings: Sequence[Settings]) -> str | None:
        """Why the file is no part of a plan, with what differs; None if it is one.

        A file can be extended, by trials and by values; what it has it keeps.

        Example:
            >>> settings = [Settings({"model.init_args.width": width}, {}, {}) for width in (10, 100)]
            >>> RecordedPlan(0, 60, []).why_not_in(Extent(70), settings) is None
            True
            >>> RecordedPlan(0, 60, [{"model.init_args.width": 30}]).why_not_in(Extent(60), settings)
            'holds other trials: model.width is 30 there and 10 here; name another file'
            >>> RecordedPlan(0, 60, []).why_not_in(Extent(50), settings)
            'holds 60 trials of each setting, and 50 are asked for; give as many or more, or name another file'
        """
        if self.lost:
            near = min((differences(self.lost[0], each.values) for each in settings[:_MOST_COMPARED]), key=len)
            more = f"; and {len(near) - _MOST_TOLD} more" if len(near) > _MOST_TOLD else ""
            return f"holds other trials: {'; '.join(near[:_MOST_TOLD])}{more}; name another file"
        if self.first_seed != extent.first_seed:
            seeds = f"seed_everything is {self.first_seed} there and {extent.first_seed} here"
            return f"holds other trials: {seeds}; name another file"
        if self.trials > extent.trials:
            asked = f"{extent.trials:,} are asked for; give as many or more, or name another file"
            return f"holds {self.trials:,} trials of each setting, and {asked}"
        return None
