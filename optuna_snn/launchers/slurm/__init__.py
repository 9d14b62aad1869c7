"""SLURM: a study as a job array, whose tasks are supervised runs that share the database.

resources.py        what is asked of SLURM
time_limit.py       how long a task may run, and how long before its end it is told
submission.py       a job array through submitit, requeued after preemption and time-out
task.py             what each task of it does
preemption.py       whether SLURM wants the node for another job
script.py           a plain sbatch script instead
shell_variables.py  what a shell would override
words.py            what a user is told of it
"""

from optuna_snn.launchers.slurm.resources import SlurmResources
from optuna_snn.launchers.slurm.script import sbatch_script
from optuna_snn.launchers.slurm.submission import Submission, submit_study

__all__ = ["SlurmResources", "Submission", "sbatch_script", "submit_study"]
