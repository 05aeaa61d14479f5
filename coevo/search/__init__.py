"""The loop. It knows no network, no qubit and no chip; it needs NumPy and SQLite."""

from __future__ import annotations

from coevo.search.algorithms import ALGORITHMS as ALGORITHMS
from coevo.search.algorithms import CMAES as CMAES
from coevo.search.algorithms import NSGA2 as NSGA2
from coevo.search.algorithms import NSGA3 as NSGA3
from coevo.search.algorithms import Algorithm as Algorithm
from coevo.search.algorithms import Exhausted as Exhausted
from coevo.search.algorithms import Exhaustive as Exhaustive
from coevo.search.algorithms import Islands as Islands
from coevo.search.algorithms import LocalSearch as LocalSearch
from coevo.search.algorithms import RandomSearch as RandomSearch
from coevo.search.algorithms import RegularizedEvolution as RegularizedEvolution
from coevo.search.design import Design as Design
from coevo.search.enumeration import Count as Count
from coevo.search.evaluator import Candidate as Candidate
from coevo.search.evaluator import Context as Context
from coevo.search.evaluator import Evaluator as Evaluator
from coevo.search.evaluator import Outcome as Outcome
from coevo.search.evaluator import Resources as Resources
from coevo.search.front import Front as Front
from coevo.search.halving import successive_halving as successive_halving
from coevo.search.objectives import Constraint as Constraint
from coevo.search.objectives import Goals as Goals
from coevo.search.objectives import Objective as Objective
from coevo.search.pick import Pick as Pick
from coevo.search.problem import Problem as Problem
from coevo.search.problem import Stage as Stage
from coevo.search.problem import WorkContext as WorkContext
from coevo.search.run import Run as Run
from coevo.search.space import Space as Space
from coevo.search.space import Violation as Violation
from coevo.search.study import Study as Study
from coevo.search.trial import Trial as Trial
