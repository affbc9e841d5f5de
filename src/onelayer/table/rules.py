"""Every number that decides what a column is and what is done with it, in one place.

`docs/tables.md` says the same in prose; a test holds the two together.
"""

# --- missing values and words in columns of numbers ---------------------------------------------
MISSING_WORDS = (
    *("", "NA", "N/A", "n/a", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "NaT"),
    *("?", ".", "-", "#N/A", "#NA", "#NULL!", "#DIV/0!", "#VALUE!"),
)
"""What counts as missing in any column, compared exactly after blanks around it are stripped."""

WORDS_SHARE = 0.01
"""A column of numbers or dates may hold words in at most this share of its values."""

WORDS_DIFFERENT = 20
"""... and at most so many different ones; they then count as missing, and are named."""

CURRENCY_SIGNS = ("%", "$", "€", "£", "¥")
"""A sign that every number of a column carries is taken off."""

EXACT_INTEGERS = 2**53
"""Whole numbers above this do not fit a float64 exactly, so such columns are compared as text."""

TRUE_WORDS = ("true", "yes", "y", "t", "on", "1")
FALSE_WORDS = ("false", "no", "n", "f", "off", "0")
"""The usual spellings of a boolean, in any case."""

# --- identifiers --------------------------------------------------------------------------------
IDENTIFIER_ROWS = 20
"""Fewer values than this never make an identifier."""

IDENTIFIER_SHARE = 0.95
"""A text column is an identifier when at least this share of its values are all different."""

IDENTIFIER_COINCIDENCES = 10
"""Whole numbers are an identifier when chance would repeat at least so many of them ..."""

IDENTIFIER_REPEATS = 0.01
"""... and at most this share of those repeats is there."""

IDENTIFIER_NAMES = ("id", "uid", "uuid", "guid", "key", "index", "idx", "rowid", "rownum")
"""A word in a column's name that makes all-different whole numbers an identifier."""

# --- leaks --------------------------------------------------------------------------------------
LEAK_ROWS_SETTLED = 0.999
"""A leak alone settles the target for at least this share of the rows ..."""

LEAK_CLASS_SETTLED = 0.99
"""... and mistakes at most one in a hundred of the rarer class."""

LEAK_GROUP = 10
"""A value settles rows only where at least so many rows share it."""

LEAK_CLASS_ROWS = 10
"""With fewer rows of the rarer class than this, nothing is called a leak."""

# --- numbers ------------------------------------------------------------------------------------
CLIP_QUANTILES = (0.01, 0.99)
"""Clipping holds a column within these quantiles of the training rows."""

HEAVY_TAIL = 3.0
"""A tail is heavy when it reaches so many times the span of the clip quantiles beyond them."""

TRANSFORM_SHARE = 0.02
"""A transform replaces the raw value when alone it tells this share more about the target ..."""

TRANSFORM_NATS = 2.0
"""... and at least so many nats more (of log-likelihood, over the rows looked at)."""

TRANSFORM_ROWS = 20_000
"""At most so many training rows, drawn at random, are looked at for it."""

TRANSFORM_STEPS = 25
"""Newton steps at most; five are usual."""

SEEN_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles of each number that the model file keeps."""

SEEN_VALUES = 20
"""The different values of a number are kept where there are at most so many."""

SEEN_DECIMALS = 9
"""A column is written with a certain number of decimals where it is at most this."""

CODES_DIFFERENT = (3, 1_000)
"""Whole numbers may be codes when they have so many different values (least, most)."""

CODES_GAIN = 1.5
"""They are, when each value's own rate of positives tells so many times what they tell ..."""

CODES_NATS = 10.0
"""... and so many nats more, on rows that the rates were not learnt from."""

CODES_PRIOR = 10.0
"""A value's rate is drawn towards the base rate as by so many rows."""

# --- categories and text ------------------------------------------------------------------------
RARE_ROWS = (2, 10)
"""A level is rare below n / 100 training rows, but never below the first nor above the second."""

LEVELS_KEPT = 1_000
"""At most so many levels have a parameter of their own; the others are pooled."""

POOLED_NAMED = 5_000
"""Of the pooled levels so many are remembered by name, so that truly new ones can be counted."""

TEXT_WORDS = 3.0
"""Free text has at least so many words a value ..."""

TEXT_SHARE = 0.5
"""... and different values in more than half of the rows (or more than LEVELS_KEPT of them)."""

WORD_SHARE = 0.005
"""A word counts when at least this share of the training rows hold it (and when not rare)."""

WORDS_KEPT = 1_000
"""At most so many words a column: those whose presence tells most about the target."""


def rare_below(rows: int) -> int:
    """Return the number of training rows under which a level or word is rare.

    >>> rare_below(50), rare_below(500), rare_below(1_000_000)
    (2, 5, 10)
    """
    least, most = RARE_ROWS
    return min(most, max(least, -(-rows // 100)))
