"""Scalable constrained Bayesian optimisation (SCBO) on the unit cube; knows nothing of Optuna.

D. Eriksson and M. Poloczek 2021, "Scalable constrained Bayesian optimization" (arXiv 2002.08526).
The objective is maximised; a constraint is feasible where it is <= 0. One step:

    fold          finished results, in the order in which they finished -> the trust region's
                  length and its centre: the best feasible point, else the least violated one
    objective_transforms     bad values compressed
    constraint_transforms    each constraint scaled, then bilog
    surrogate     one Gaussian process for the objective and for each constraint; its
                  hyperparameters by `fitting`
    candidates    Sobol points in the box around the centre, partly at the centre's coordinates
    paths         draws of all processes, as differentiable functions
    thompson      the best candidate that is feasible on the draws
    refinement    the climb from there, on the same draws

`suggest` puts the steps together. Where a step departs from the paper, its file says so first.
"""
