"""The games that are timed: words of the ``gantrain`` command, and whether tutorials exist that play the same game."""

from dataclasses import dataclass, replace
from pathlib import Path

PLUGINS = Path(__file__).parent / "plugins"
QUICK = ("train.batch_size=8", "metric.n=50")
ADAM = ("optimizer.g_lr=2e-4", "optimizer.d_lr=2e-4", "optimizer.beta1=0.5", "optimizer.beta2=0.999")


@dataclass(frozen=True)
class Case:
    """A game.

    Attributes:
        name: For the table and ``--case``.
        words: Of the command line.
        has_tutorial: Whether ``tutorials.py`` restates the loop that people start from.
    """

    name: str
    words: tuple[str, ...]
    has_tutorial: bool = False

    def quick(self) -> "Case":
        """Return the same game in tiny batches, of few images."""
        few = ("dataset.n=400",) if "dataset=benchmark_images" in self.words else ()
        return replace(self, words=(*self.words, *QUICK, *few))


def images(side: int, channels: int = 1, data: str | None = None) -> tuple[str, ...]:
    """Return the words of a dataset of images: MNIST's below the folder ``data``, generated ones without it."""
    words = ("dataset=benchmark_images", f"dataset.side={side}", f"dataset.channels={channels}")
    return (*words, f"dataset.root={data}") if data else words


def all_cases(data: str | None = None) -> dict[str, Case]:
    """Return the games by name; ``data`` is the folder that holds MNIST/raw, if there is one."""
    critic = ("objective=wasserstein", "train.d_steps=5", "optimizer.beta2=0.9")
    residual = ("model=benchmark_residual", "model.spectral_norm=true", "objective=hinge")
    modern = (
        "model=r3gan",
        "objective=relativistic",
        "penalty=r1r2",
        "train.batch_size=128",
    )  # CIFAR-10's networks
    # The authors' configuration for 64x64 pixels and one GPU, with R1 in each step, so that all steps cost the same.
    keys = ("model.width=256", "model.mapping_depth=2", "model.minibatch_std=true", "train.batch_size=32")
    styles = ("model=stylegan2", *keys, "penalty=r1", *images(64, 3, data))
    upsampling = ("model=benchmark_upsampling", *images(32, data=data), *ADAM)
    cases = [
        Case("ring", ("dataset=ring", "dataset.n=20000")),
        Case("ring_r1", ("dataset=ring", "dataset.n=20000", "penalty=r1")),
        Case("digits", ("dataset=digits",)),
        Case("mnist_r1", ("penalty=r1_strong", *images(28, data=data))),
        Case("mlp_gan", ("model=benchmark_fully_connected", *images(28, data=data), *ADAM), True),
        Case("wgan_gp", ("model=benchmark_fully_connected", *images(28, data=data), *ADAM, *critic), True),
        Case("dcgan_64", ("model=benchmark_strided", *images(64, 3, data), *ADAM), True),
        Case("upsampling_32", upsampling, True),
        Case("upsampling_32_folded", (*upsampling, "model.folded=true"), True),
        Case("r3gan_32", (*modern, *images(32, 3, data))),
        Case("stylegan2_64", styles),
        Case("stylegan2_ada_64", (*styles, "augment=ada", "augment.target=null", "augment.p=0.3")),
        Case("sngan_32", (*residual, *images(32, 3, data), *ADAM), True),
    ]
    return {case.name: case for case in cases}
