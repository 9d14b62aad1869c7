"""Reads spikes out of a network while it trains: BindsNET, lava-dl, any spiking torch module."""
