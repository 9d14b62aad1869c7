"""Finds the spiking layers of a model, and what the axes of their spikes are.

What is known of a framework is known by the names of its classes; none is imported. A class stands
for those that derive from it. Of any other module the axes have to be declared, for a tensor
(25, 32, 100) does not tell whether it is time, batch, neurons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from optuna_snn.probes.counting import LAYOUTS, Axes, checked_axes

KNOWN_AXES: dict[tuple[str, str], Axes] = {
    ("snntorch", "SpikingNeuron"): "batch ...",
    ("snntorch", "StateLeaky"): "time batch ...",
    ("snntorch", "AssociativeLeaky"): "time batch ...",
    ("snntorch", "LeakyParallel"): "time batch ...",
    ("snntorch", "LeakyKernel"): "time batch ...",
    ("spikingjelly", "PSN"): "time batch ...",  # it has no step mode, and takes all steps at once
    ("bindsnet", "Nodes"): "batch ...",
}
"""(package, class) -> axes of what it emits; the most derived class of a module counts."""

STEP_MODES: dict[object, Axes] = {"s": "batch ...", "m": "time batch ..."}
"""SpikingJelly's single step and multi step."""

SLAYER_BLOCKS = "lava.lib.dl.slayer.block."
SPIKINGJELLY_NEURONS = "spikingjelly.activation_based.neuron."
NOT_SPIKING = {
    "AbstractInput",  # of BindsNET and of lava-dl: layers of inputs
    "AbstractAffine",
    "NonSpikingBaseNode",
    "NoisyNonSpikingBaseNode",
}
N_NAMED = 12
"""Modules that an error message lists."""

Layers = Collection[str] | Mapping[str, str | nn.Module]


@dataclass(frozen=True)
class WatchedLayer:
    """A layer that will be watched.

    path:     of the module in its model
    monitors: where the simulator that runs the layer, BindsNET, takes its recorders; None for a
              layer that is called as torch modules are
    """

    name: str
    path: str
    module: nn.Module
    axes: Axes
    monitors: dict[str, Any] | None = None


def find_layers(
    model: nn.Module,
    layers: Layers | None = None,
    axes: Axes | Mapping[str, Axes] | None = None,
) -> list[WatchedLayer]:
    """Return the layers to be watched, in the order in which they are named.

    layers: paths as in ``model.named_modules()``, which become the layers' names, or
            name -> path or module; None takes all that look like spiking ones
    axes:   of all layers, or name -> axes; None, and a layer that is not named, are detected

    Raises TypeError if the model is no torch module, or a name no string; ValueError for layers
    that are none of its modules, are named twice or run within TorchScript, and for axes that are
    neither declared nor known.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {type(model).__name__}. For any other network "
            "count its spikes and call monitor.update(layer, counts)."
        )
    named = _named_modules(model, layers)
    if isinstance(axes, Mapping):
        if unknown := [name for name in axes if name not in named]:
            raise ValueError(
                f"axes names {unknown[0]!r}, which is not watched; watched are {_list(named)}."
            )
        declared: Mapping[str, object] = axes
    else:
        declared = {} if axes is None else dict.fromkeys(named, axes)
    paths = {id(module): path for path, module in model.named_modules()}
    return [
        WatchedLayer(
            name=name,
            path=paths[id(module)],
            module=module,
            axes=(
                checked_axes(declared[name], name)
                if name in declared
                else _detected_axes(name, module, model)
            ),
            monitors=_monitors(name, module, model) if _is_of_bindsnet(module) else None,
        )
        for name, module in named.items()
    ]


def known_axes(module: nn.Module) -> Axes | None:
    """Return the axes of what the module emits, None if its class does not tell."""
    for package, name in classes_of(module):
        if package == "lava":
            return "batch ... time"
        if package == "spikingjelly":
            mode = getattr(module, "step_mode", None)
            return STEP_MODES.get(mode, KNOWN_AXES.get((package, name)))
        if (package, name) in KNOWN_AXES:
            return KNOWN_AXES[package, name]
    return None


def spiking_paths(model: nn.Module) -> list[str]:
    """Return the paths of modules that look like spiking layers; layers of inputs are left out."""
    return [path for path, module in model.named_modules() if _looks_spiking(module)]


def _looks_spiking(module: nn.Module) -> bool:
    names = {name for _, name in classes_of(module)}
    if names & NOT_SPIKING:
        return False
    modules = [each.__module__ + "." for each in type(module).__mro__]
    if any(each.startswith(SLAYER_BLOCKS) for each in modules):
        return getattr(module, "neuron", None) is not None
    if any(each.startswith(SPIKINGJELLY_NEURONS) for each in modules):
        return known_axes(module) is not None
    return any(each in KNOWN_AXES for each in classes_of(module))


def _named_modules(model: nn.Module, layers: Layers | None) -> dict[str, nn.Module]:
    if isinstance(layers, str):
        raise ValueError(f"layers must be names, got {layers!r}; pass [{layers!r}].")
    if layers is None:
        layers = _all_spiking(model)
    if not isinstance(layers, Mapping):
        layers = _each_once(layers)
    if not layers:
        raise ValueError("layers names no layer; pass layers=None to watch all spiking ones.")
    named = {name: _module(each, model, name) for name, each in layers.items()}
    for name, module in named.items():
        _refuse_within_torchscript(name, module, model)
    seen: dict[int, str] = {}
    for name, module in named.items():
        if (other := seen.setdefault(id(module), name)) != name:
            raise ValueError(f"Layers {other!r} and {name!r} are the same module; name it once.")
    return named


def _each_once(paths: Collection[str]) -> dict[str, str]:
    """Path -> path."""
    named: dict[str, str] = {}
    for path in paths:
        if path in named:
            raise ValueError(f"layers names {path!r} twice; name it once.")
        named[path] = path
    return named


def _refuse_within_torchscript(name: str, module: nn.Module, model: nn.Module) -> None:
    """TorchScript calls the modules within a compiled one itself, and their hooks never.

    A module that was traced as a whole is called by torch, with its hooks.
    """
    if isinstance(module, torch.jit._trace.TopLevelTracedModule):
        return
    for outer in model.modules():
        is_compiled = isinstance(outer, torch.jit.ScriptModule)
        if is_compiled and any(module is inner for inner in outer.modules()):
            raise ValueError(
                f"Layer {name!r} belongs to {type(outer).__name__}, which torch.jit compiled: "
                "forward hooks are not called there, so that nothing would be counted. Train and "
                "watch the model before torch.jit.trace or torch.jit.script, or count its spikes "
                "and pass monitor.update(layer, counts)."
            )


def _all_spiking(model: nn.Module) -> list[str]:
    paths = spiking_paths(model)
    if not paths:
        raise ValueError(
            f"No module of {type(model).__name__} looks like a spiking layer of snnTorch, "
            "SpikingJelly, lava-dl or BindsNET. Name those that emit spikes and say what the axes "
            f'are: monitor.watch(model, layers=[...], axes="batch ..."). {_modules_of(model)}'
        )
    if paths == [""]:
        raise ValueError(
            f"The model, {type(model).__name__}, is a spiking layer itself and so has no name; "
            'give it one: monitor.watch(model, layers={"output": model}).'
        )
    return [path for path in paths if path]


def _module(layer: str | nn.Module, model: nn.Module, name: str) -> nn.Module:
    if not isinstance(name, str):
        raise TypeError(
            f"layers must name modules by strings, or map names to paths or modules; got {name!r}."
        )
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if isinstance(layer, str) and layer in modules and layer:
        return modules[layer]
    if isinstance(layer, nn.Module):
        if any(layer is module for module in modules.values()):
            return layer
        raise ValueError(
            f"The module given for layer {name!r}, {type(layer).__name__}, is no part of the "
            f"model, {type(model).__name__}. Pass the model that is trained, or an nn.ModuleList "
            "of several."
        )
    if not isinstance(layer, str):
        raise TypeError(
            f"layers must name modules by strings, or map names to paths or modules; got "
            f"{layer!r} for {name!r}."
        )
    raise ValueError(f"The model has no layer {layer!r}. {_modules_of(model)}")


def _modules_of(model: nn.Module) -> str:
    if paths := [path for path in spiking_paths(model) if path]:
        return f"Modules that look like spiking layers: {_list(paths)}."
    paths = [path for path, _ in model.named_modules() if path]
    return f"Its modules are: {_list(paths)}." if paths else "It has no modules within."


def _detected_axes(name: str, module: nn.Module, model: nn.Module) -> Axes:
    axes = known_axes(module)
    if axes is None:
        raise ValueError(
            f"The axes of layer {name!r}, {type(module).__name__}, cannot be known: it belongs to "
            "no framework that optuna_snn knows. Declare them in monitor.watch(), "
            f'axes={{{name!r}: "..."}}, as one of {_list(LAYOUTS)}; "batch ..." is for a module '
            f"that is called once for each time step. {_modules_of(model)}"
        )
    return axes


def _monitors(name: str, module: nn.Module, model: nn.Module) -> dict[str, Any]:
    """The monitors of the BindsNET network that runs the layer.

    BindsNET does not call its layers as torch does, so that forward hooks stay silent; its
    monitors are called after each step.
    """
    for network in model.modules():
        layers = getattr(network, "layers", None)
        monitors = getattr(network, "monitors", None)
        if isinstance(layers, Mapping) and isinstance(monitors, dict):
            if any(module is layer for layer in layers.values()):
                return monitors
    raise ValueError(
        f"The BindsNET layer {name!r} belongs to no network within {type(model).__name__}. "
        "Pass the Network that runs it as the model."
    )


def _is_of_bindsnet(module: nn.Module) -> bool:
    return ("bindsnet", "Nodes") in classes_of(module)


def classes_of(module: nn.Module) -> Iterator[tuple[str, str]]:
    """(package, name) of the module's class and of those it derives from, the nearest first."""
    for each in type(module).__mro__:
        yield each.__module__.partition(".")[0], each.__name__


def _list(names: Collection[str]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:N_NAMED])
    n_more = len(names) - N_NAMED
    return f"{shown} and {n_more} more" if n_more > 0 else shown
