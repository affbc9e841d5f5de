"""The strength of the penalty for a long table, where it is chosen."""

from dataclasses import replace

from onelayer.loss import SigmoidLoss
from onelayer.outcome import warn_of_strength
from onelayer.rows.memory import MemoryRows
from onelayer.streaming.asked import Settings
from onelayer.strength import Start, StrengthChoice, settle_strength


def settle_far_strength(
    rows: MemoryRows, settings: Settings
) -> tuple[Settings, StrengthChoice | None, Start | None]:
    """The settings with C as a number; where it is chosen, on a part of the rows, how; a start."""
    C, choice, start = settle_strength(
        rows, SigmoidLoss(1), settings.C, l1_ratio=settings.l1_ratio, copies=settings.copies
    )
    warn_of_strength(choice)
    return replace(settings, C=C), choice, start
