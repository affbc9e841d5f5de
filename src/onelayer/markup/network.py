"""The network as the article draws it: inputs, weights, sum, sigmoid, output."""

from collections.abc import Sequence
from dataclasses import dataclass

from onelayer.markup.charts import Sheet, make_sheet
from onelayer.markup.words import count, fixed

MOST_INPUTS = 12
STEP = 25  # from an input to the next one below it
THICKEST = 7.0


@dataclass(frozen=True)
class Input:
    """One input: how far a step of its own spread moves the log-odds, and how it is drawn.

    `width` is that of its line, `y` its height in the picture.
    """

    name: str
    strength: float
    width: float
    y: float

    @property
    def kind(self) -> str:
        """The side that it pushes to."""
        return "positive" if self.strength >= 0 else "negative"


@dataclass(frozen=True)
class Network:
    """What `templates/network.html.jinja` draws.

    Attributes
    ----------
    inputs: the strongest, first; others: how many more there are. bias: b, in log-odds.
    positive: the value whose probability comes out; threshold: above which it is said.
    sheet: the table behind the picture.
    """

    inputs: tuple[Input, ...]
    others: int
    bias: float
    positive: str
    threshold: float
    sheet: Sheet

    @property
    def rows(self) -> int:
        """How many inputs are drawn, the others as one, the bias not among them."""
        return len(self.inputs) + bool(self.others)

    @property
    def height(self) -> float:
        """Of the picture."""
        return STEP * max(self.rows, 5) + 56

    @property
    def middle(self) -> float:
        """The height of the sum."""
        return 20 + STEP * (max(self.rows, 5) - 1) / 2

    @property
    def description(self) -> str:
        """What a screen reader says of it."""
        total = len(self.inputs) + self.others
        first = self.inputs[0] if self.inputs else None
        strongest = f" The strongest is {first.name}." if first else ""
        return (
            f"{count(total, 'input')}, each with a weight, and a bias of {fixed(self.bias, 2)} are "
            f"added up to z; the sigmoid makes z the probability of {self.positive}.{strongest}"
        )


def draw_network(
    names: Sequence[str],
    strengths: Sequence[float],
    bias: float,
    positive: str,
    threshold: float,
) -> Network:
    """Lay out the strongest inputs of a network with one output.

    Args:
        names: Of all features.
        strengths: For each the weight times the feature's spread, in log-odds.
        bias: In log-odds.
        positive: The value of the target whose probability comes out.
        threshold: The probability above which it is said.

    >>> drawn = draw_network(["age", "debt"], [0.5, -1.0], 0.1, "yes", 0.5)
    >>> [(each.name, each.kind, each.width) for each in drawn.inputs]
    [('debt', 'negative', 7.0), ('age', 'positive', 3.8)]
    """
    order = sorted(range(len(names)), key=lambda k: -abs(strengths[k]))[:MOST_INPUTS]
    largest = max((abs(strengths[k]) for k in order), default=0.0) or 1.0
    thickness = [abs(strengths[k]) / largest for k in order]
    inputs = tuple(
        Input(names[k], strengths[k], round(0.6 + (THICKEST - 0.6) * part, 1), 20 + STEP * place)
        for place, (k, part) in enumerate(zip(order, thickness))
    )
    rows = [(each.name, fixed(each.strength)) for each in inputs]
    sheet = make_sheet(["input", "log-odds per spread"], [*rows, ("bias b", fixed(bias))])
    return Network(inputs, len(names) - len(inputs), bias, positive, threshold, sheet)
