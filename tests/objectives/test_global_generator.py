import threading

import pytest
import torch

from optuna_snn.objectives.global_generator import seeded_global_generator

CPU = torch.device("cpu")


def test_draws_inside_follow_the_seed_and_those_outside_are_as_if_there_were_none() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = torch.rand(4)
        torch.manual_seed(3)
        drawn = []
        for seed in (1, 1, 2):
            with seeded_global_generator(seed, CPU):
                drawn.append(torch.rand(4))
        assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
        assert torch.equal(torch.rand(4), expected)


def test_an_exception_inside_leaves_the_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded_global_generator(1, CPU):
        torch.rand(4)
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)
    with seeded_global_generator(1, CPU):
        pass  # and lets others in


def test_a_second_thread_waits_until_the_first_is_done() -> None:
    has_entered = threading.Event()

    def enter() -> None:
        with seeded_global_generator(2, CPU):
            has_entered.set()

    second = threading.Thread(target=enter)
    with seeded_global_generator(1, CPU):
        second.start()
        assert not has_entered.wait(0.2)
    assert has_entered.wait(60)
    second.join()
