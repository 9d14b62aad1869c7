"""Spike activity of layers and the rules that call a layer silent: numpy and scipy, no Optuna."""
