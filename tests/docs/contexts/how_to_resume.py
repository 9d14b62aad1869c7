"""A small network for the checkpoint, whose first worker dies in its third epoch."""

import optuna
import torch

from optuna_snn import SCBOSampler

N_BATCHES, BATCH = 20, 16
epochs_trained = []
is_to_die = [False]


def build(trial):
    network = torch.nn.Linear(4, 4)
    step = trial.suggest_float("step", 0.01, 0.1)
    return network, torch.optim.Adam(network.parameters(), step)


def train_one_epoch(network, optimizer):
    if is_to_die[0] and len(epochs_trained) == 2:
        raise KeyboardInterrupt
    epochs_trained.append(1)
    for _ in range(N_BATCHES):
        loss = (network(torch.rand(BATCH, 4)) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield torch.randint(0, 2, (BATCH,)) + 1


def validate(network):
    return sum(weight.sum().item() for weight in network.parameters())


def check_that_it_goes_on(names):
    whole = optuna.create_study(sampler=SCBOSampler(seed=0))
    whole.optimize(names["objective"], n_trials=18)
    assert [t.params for t in names["study"].trials] == [t.params for t in whole.trials]


def check_the_leftovers(names):
    assert names["study"].trials[-1].state.name == "FAIL"


def check_the_retry(names):
    """The retry of a trial that died trains what was missing, to the result of a whole one."""
    from optuna_snn.workers.retry import requeue

    study = optuna.create_study()
    study.enqueue_trial({"step": 0.05})
    is_to_die[0] = True
    try:
        study.optimize(names["objective"], n_trials=1)
    except KeyboardInterrupt:
        pass
    is_to_die[0] = False
    assert len(epochs_trained) == 2
    requeue(study, study.trials[0])
    study.optimize(names["objective"], n_trials=1)
    assert len(epochs_trained) == 4

    whole = optuna.create_study()
    whole.enqueue_trial({"step": 0.05})
    whole.optimize(names["objective"], n_trials=1)
    assert len(epochs_trained) == 8
    assert whole.trials[0].value == study.trials[1].value
    assert whole.trials[0].constraints == study.trials[1].constraints


CHECKS = {
    "study = go_on(6)": check_that_it_goes_on,
    "fail_leftovers(study)": check_the_leftovers,
    "monitor.restore": check_the_retry,
}
