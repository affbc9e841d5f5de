"""Counts and sums of weights in words, as on pages."""

from onelayer.markup.words import amount as amount
from onelayer.markup.words import count as count
