"""The samples that the page names are those of the rule."""


def check_the_samples(names):
    stops = names["samples_until_stop"]
    assert [stops(share) for share in (1.0, 0.5, 0.3, 0.2)] == [16, 18, 59, 218]


def check_the_epochs(names):
    """A dead layer needs four more samples in the hundredth epoch, without the minimum."""
    from optuna_snn.spikes.rules import SilenceRule

    rule = SilenceRule("sequential", beta=0.05, delta=1e-3, min_samples=1)
    first, late = (
        next(n for n in range(1, 100) if rule.is_silent(n, n, epoch)) for epoch in (1, 100)
    )
    assert late - first == 4


CHECKS = {
    "samples_until_stop(share)": lambda names: (check_the_samples(names), check_the_epochs(names))
}
