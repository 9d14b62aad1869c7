"""What the epochs of a trial gave: kept while it trains, stored in the trial at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from optuna.trial import BaseTrial

from optuna_snn.objectives.slayer.training import Evaluation, TrainedBatch

__all__ = ["Course"]


@dataclass
class Course:
    """What the finished epochs of a trial gave.

    accuracies: in validation, of each epoch; the other figures are those of the last one
    seconds:    of training and of validation, all epochs together
    """

    accuracies: list[float] = field(default_factory=list)
    training_accuracy: float = 0.0
    loss: float = 0.0
    spikes: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(
        self,
        batches: Sequence[TrainedBatch],
        validation: Evaluation,
        training_s: float,
        validation_s: float,
    ) -> None:
        """Take in a finished epoch."""
        n_samples = sum(each.n_samples for each in batches)
        self.accuracies.append(validation.accuracy)
        self.training_accuracy = sum(each.n_right for each in batches) / n_samples
        self.loss = sum(each.loss * each.n_samples for each in batches) / n_samples
        self.spikes = dict(validation.spikes)
        self.seconds = [self.seconds[0] + training_s, self.seconds[1] + validation_s]

    def store(self, trial: BaseTrial) -> None:
        """Set the trial's user attributes, if an epoch was finished."""
        if not self.accuracies:
            return
        trial.set_user_attr("accuracy/validation", self.accuracies[-1])
        trial.set_user_attr("accuracy/training", self.training_accuracy)
        trial.set_user_attr("loss", self.loss)
        for name, mean in self.spikes.items():
            trial.set_user_attr(f"spikes/{name}", mean)
        for phase, seconds in zip(("training", "validation"), self.seconds, strict=True):
            trial.set_user_attr(f"seconds/{phase}", seconds)
