"""Why a row got its decision, and the least that would turn it."""
