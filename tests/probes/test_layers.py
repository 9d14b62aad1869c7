"""Which layers are found, and what is said where they are not."""

import pytest
import torch
from torch import Tensor, nn

from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.watching import Watch
from tests.probes.models import Heaviside, TwoLayers


class Leaky(nn.Module):
    """A user's own class, with a name that snnTorch has as well."""


def paths(*arguments: object) -> list[tuple[str, str, str]]:
    return [(each.name, each.path, each.axes) for each in find_layers(*arguments)]  # type: ignore[arg-type]


def test_layers_are_named_by_paths_or_by_a_mapping_to_paths_and_modules() -> None:
    model = TwoLayers()
    expected = [("hidden", "hidden", "batch ..."), ("output", "output", "batch ...")]
    assert paths(model, ["hidden", "output"], "batch ...") == expected
    assert paths(model, {"a": "output", "b": model.hidden}, "batch ... time") == [
        ("a", "output", "batch ... time"),
        ("b", "hidden", "batch ... time"),
    ]
    nested = nn.ModuleList([model])
    assert paths(nested, ["0.hidden"], "batch ...") == [("0.hidden", "0.hidden", "batch ...")]


def test_axes_may_differ_between_layers() -> None:
    axes = {"hidden": "time batch ...", "output": "batch time ..."}
    assert dict((name, each) for name, _, each in paths(TwoLayers(), [*axes], axes)) == axes


def test_an_unknown_layer_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no layer 'hiden'. Its modules are: 'first', 'hidden'"):
        find_layers(TwoLayers(), ["hiden"])
    model = nn.ModuleDict({f"layer{i}": Heaviside() for i in range(40)})
    with pytest.raises(ValueError, match="'layer11' and 28 more"):
        find_layers(model, ["layer40"])
    with pytest.raises(ValueError, match=r"no layer 'x'. It has no modules within"):
        find_layers(Heaviside(), ["x"])


def test_axes_that_cannot_be_known_are_asked_for() -> None:
    for layer in ("hidden", "first"):
        with pytest.raises(
            ValueError, match=rf"'{layer}', .*Declare them .*axes=.*'batch \.\.\.'"
        ):
            find_layers(TwoLayers(), [layer])
    with pytest.raises(ValueError, match="axes of layer 'lif', Leaky, cannot be known"):
        find_layers(nn.ModuleDict({"lif": Leaky()}), ["lif"])
    with pytest.raises(ValueError, match="axes of layer 'output'"):
        find_layers(TwoLayers(), ["hidden", "output"], {"hidden": "batch ..."})


def test_a_model_without_known_spiking_layers_has_to_have_them_named() -> None:
    with pytest.raises(ValueError, match=r"No module of TwoLayers looks like a spiking layer"):
        find_layers(TwoLayers())


@pytest.mark.parametrize(
    ("layers", "axes", "complaint"),
    [
        ("hidden", None, r"pass \['hidden'\]"),
        ([], None, "names no layer"),
        ([""], None, "no layer ''"),
        (["hidden", "hidden"], "batch ...", "layers names 'hidden' twice"),
        (["hidden"], "time", "axes of layer 'hidden' must be one of"),
        (["hidden"], {"hidden": "time"}, "axes of layer 'hidden' must be one of"),
        (["hidden"], {"output": "batch ..."}, "axes names 'output', which is not watched"),
        ({"a": "hidden", "b": "hidden"}, "batch ...", "'a' and 'b' are the same module"),
        ({"a": Heaviside()}, "batch ...", "for layer 'a', Heaviside, is no part of the model"),
    ],
)
def test_what_cannot_be_watched_is_refused(layers: object, axes: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        find_layers(TwoLayers(), layers, axes)  # type: ignore[arg-type]


def test_other_kinds_of_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module, got dict.*monitor\.update"):
        find_layers({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must name modules by strings.* got 3"):
        find_layers(TwoLayers(), {"a": 3})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"must name modules by strings.* got 3"):
        find_layers(TwoLayers(), {3: "hidden"}, "batch ...")  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"must name modules by strings.* got 3"):
        find_layers(TwoLayers(), [3], "batch ...")  # type: ignore[list-item]


class Fires(nn.Module):
    """What torch.jit can compile."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).float()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_modules_within_a_model_that_torchscript_compiled_are_refused() -> None:
    """Their hooks are never called; those of a module that was traced as a whole are."""
    traced = torch.jit.trace(nn.Sequential(nn.Linear(5, 4), Fires()), torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"'1' belongs to TopLevelTracedModule, which torch\.jit"):
        find_layers(traced, ["1"], "batch ...")
    scripted = nn.Sequential(nn.Linear(5, 4), torch.jit.script(Fires()))
    with pytest.raises(ValueError, match=r"'1' belongs to RecursiveScriptModule"):
        find_layers(scripted, ["1"], "batch ...")
    part = nn.Sequential(nn.Linear(5, 4), torch.jit.trace(Fires(), torch.zeros(2, 4)))
    watch = Watch(find_layers(part, ["1"], "batch ..."))
    spikes = part(torch.ones(3, 5))
    assert watch.take()["1"].tolist() == spikes.sum(1).tolist()


def test_a_model_that_is_a_single_spiking_layer_gets_a_name_by_a_mapping() -> None:
    model = Heaviside()
    assert paths(model, {"output": model}, "batch ...") == [("output", "", "batch ...")]
