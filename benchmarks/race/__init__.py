"""The race: time to reach the optimum, onelayer beside every library that can do the work.

`python -m benchmarks race --data DIR` runs it, `python -m benchmarks draw` draws what it wrote.
A *task* is a table with a penalty (`tasks.py`). A *solver* is one way to fit it (`solvers.py`), run
in a process of its own (`child.py`). A *contest* lets every solver at one task (`contest.py`) and
writes one file of results (`results.py`).
"""
