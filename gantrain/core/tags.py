"""Tags of scalars: which belong together, which are in nats, and what each means in a few words."""

import re

# Estimates and exact values of JSD; their chart has a line at log 2, its maximum.
JENSEN_SHANNON = tuple(f"divergence/js{kind}" for kind in ("", "_refit", "_exact", "_density", "_batch"))
CEILING = "divergence/log_2"
IN_NATS = re.compile(
    r"divergence/(js|js_weighted|kl|reverse_kl|jeffrey)(_refit|_exact|_density|_batch|_gap)*|diversity/mode_kl"
    r"|fidelity/log_likelihood_parzen|generator/kernel_\w+"
)

# Shown in reports; docs/estimates.md explains each at length.
MEANING = {
    "divergence/js": "Jensen-Shannon divergence from below, by the game's D, on held-out data; in nats",
    "divergence/js_batch": "the same by a D that classifies samples jointly: larger than that of single ones",
    "divergence/js_refit": "Jensen-Shannon divergence from below by a fresh D: one scale for all objectives",
    "divergence/js_exact": "the exact value, from the densities",
    "divergence/js_density": "from a histogram of samples: the middle of its error bounds",
    "divergence/js_density_margin": "half the width of the interval that contains it",
    "divergence/js_gap": "the fresh D's estimate minus that of the game's D",
    "divergence/game": "the divergence that this objective estimates",
    "divergence/frechet": "distance of two Gaussians fitted to features",
    "diversity/coverage": "share of real samples with a generated one nearby",
    "diversity/recall": "share of real samples inside the generated ones' neighbourhoods",
    "diversity/modes": "modes of the data that samples reach",
    "diversity/mode_kl": "unevenness over modes, in nats; 0 is even",
    "fidelity/precision": "share of samples inside the real ones' neighbourhoods",
    "fidelity/density": "how many real neighbourhoods a sample lies in, on average, by their size",
    "fidelity/high_quality": "share of samples within three standard deviations of a mode",
    "fidelity/class_accuracy": "share of samples that a classifier assigns to the requested class",
    "fidelity/nearest_distance": "distance to the nearest training sample, held-out data = 1; far below 1 is a copy",
    "fidelity/sharpness": "sharpness, real data = 1",
    "logits/accuracy": "share of held-out data and samples that D classifies correctly",
    "logits/holdout": "mean logit on held-out data",
}
