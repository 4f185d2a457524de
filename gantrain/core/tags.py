"""Tags of scalars: which belong together, which are in nats, and what each means in a few words."""

import math
import re
from typing import Any

from gantrain.core.directions import base

# Estimates and exact values of JSD, which lies between 0 and log 2.
JENSEN_SHANNON = tuple(
    f"divergence/js{kind}" for kind in ("", "_refit", "_exact", "_density", "_batch", "_augmented")
)
SHARES = (
    "fidelity/precision",
    "fidelity/high_quality",
    "fidelity/gan_test",
    "fidelity/leak",
    "diversity/gan_train",
    "diversity/intra_coverage",
    "diversity/ms_ssim",
    "diversity/recall",
    "diversity/coverage",
    "logits/accuracy",
    "logits/mismatched_auc",
    "logits/fake_probability",
)
TOTAL_VARIATION = tuple(f"divergence/total_variation{kind}" for kind in ("", "_exact", "_density", "_batch"))
ZERO, ONE, CEILING = "scale/0", "scale/1", "divergence/log_2"  # lines that hold an axis open
IN_NATS = re.compile(
    r"divergence/(js|js_weighted|kl|reverse_kl|jeffrey)(_refit|_exact|_density|_batch|_augmented|_gap)*|diversity/mode_kl"
    r"|fidelity/log_likelihood_parzen|generator/kernel_\w+"
)

# Shown in reports and by TensorBoard; docs/estimates.md explains each at length.
MEANING = {
    "loss/d": "what D minimises, mean over its updates since the last log point; at chance where D tells nothing apart",
    "loss/g": "what G minimises, mean over its updates since the last log point",
    "loss/penalty": "the penalty, as it is added to D's loss",
    "loss/g_penalty": "the penalty, as it is added to G's loss",
    "loss/d_classes": "cross-entropy of the classes that D names, of data and samples, as it is added to D's loss",
    "loss/g_classes": "cross-entropy of the classes that D names samples by, as it is added to G's loss",
    "logits/real": "mean logit on training data",
    "logits/fake": "mean logit on generated samples",
    "logits/mismatched": "mean logit on training data with wrong conditions",
    "logits/mismatched_auc": "chance that D ranks a right pair above a wrong one; 0.5 is a guess",
    "logits/fake_probability": "mean probability of real that D gives to samples",
    "gradient/d": "norm of the gradient of D's loss by its weights",
    "gradient/g": "norm of the gradient of G's loss by its weights",
    "schedule/d_lr": "learning rate of D, where it moves",
    "schedule/g_lr": "learning rate of G, where it moves",
    "schedule/beta2": "Adam's decay of the mean of squared gradients, where it moves",
    "schedule/gamma": "weight of the penalty, where it moves",
    "schedule/ema_half_life": "half-life of the average of G's weights in images, where it moves",
    "schedule/instance_std": "standard deviation of the noise on D's inputs, where it moves",
    "schedule/augment_p": "probability of each transformation of D's inputs",
    "speed/images_per_second": "training images a second since the last log point, without metrics and pictures",
    "samples/density": "samples and held-out data, over what D makes of each point",
    "samples/ema": "samples of the averaged generator, from the same latents at every step",
    "samples/nearest": "samples, each next to the training image that is nearest to it",
    "samples/real": "training data",
    CEILING: "the largest possible Jensen-Shannon divergence, of two distributions without overlap",
    ZERO: "a line that holds an axis of CUSTOM SCALARS open",
    ONE: "a line that holds an axis of CUSTOM SCALARS open",
    "divergence/js": "Jensen-Shannon divergence from below, by the game's D, on held-out data; in nats",
    "divergence/js_batch": "the same by a D that classifies samples jointly: larger than that of single ones",
    "divergence/js_augmented": "the same of augmented data and samples, as D is trained on them",
    "divergence/js_refit": "Jensen-Shannon divergence from below by a fresh D: one scale for all objectives",
    "divergence/js_exact": "the exact value, from the densities",
    "divergence/js_density": "from a histogram of samples: the middle of its error bounds",
    "divergence/js_gap": "the fresh D's estimate minus that of the game's D",
    "divergence/exact_error": "largest estimated error of the exact values",
    "divergence/exact_residual": "how far an integral of either density is from 1",
    "divergence/game": "the divergence that this objective estimates",
    "divergence/kl": "KL(p_data, p_G) from below, by the game's D; in nats",
    "divergence/reverse_kl": "KL(p_G, p_data) from below, by the game's D; in nats",
    "divergence/jeffrey": "KL(p_data, p_G) + KL(p_G, p_data) from below, by the game's D; in nats",
    "divergence/js_weighted": "weighted Jensen-Shannon divergence from below, by the game's D; in nats",
    "divergence/pearson": "Pearson's chi-square divergence from below, by the game's D",
    "divergence/neyman": "Neyman's chi-square divergence from below, by the game's D",
    "divergence/squared_hellinger": "squared Hellinger distance from below, by the game's D; in [0, 2]",
    "divergence/total_variation": "total variation distance from below, by the game's D; in [0, 1]",
    "divergence/triangular": "triangular discrimination from below, by the game's D",
    "divergence/alpha": "alpha divergence from below, by the game's D",
    "divergence/wasserstein": "Wasserstein-1 distance of samples and held-out data, in the data's unit",
    "divergence/sliced_wasserstein": "mean Wasserstein distance of projections to lines",
    "divergence/kernel": "squared maximum mean discrepancy of features",
    "divergence/frechet": "distance of two Gaussians fitted to features",
    "divergence/frechet_infinite": "that distance, extrapolated to infinitely many samples",
    "divergence/fid": "FID as papers print it: distance of Gaussians fitted to all features of a published network",
    "divergence/kid": "KID as papers print it: squared maximum mean discrepancy, mean over subsets",
    "divergence/kid_sd": "standard deviation of KID over its subsets",
    "diversity/coverage": "share of real samples with a generated one nearby",
    "diversity/recall": "share of real samples inside the generated ones' neighbourhoods",
    "diversity/recall_3nn": "recall with three neighbours, as papers print it",
    "diversity/modes": "modes of the data that samples reach",
    "diversity/mode_kl": "unevenness over modes, in nats; 0 is even, log K is one of K modes, or none",
    "fidelity/precision": "share of samples inside the real ones' neighbourhoods",
    "fidelity/precision_3nn": "precision with three neighbours, as papers print it",
    "fidelity/density": "how many real neighbourhoods a sample lies in, on average, by their size",
    "fidelity/inception_score": "how sure and how varied a network's classes of samples are: 1 to their number",
    "fidelity/inception_score_sd": "standard deviation of the Inception score over ten parts",
    "fidelity/high_quality": "share of samples within three standard deviations of a mode",
    "fidelity/gan_test": "share of samples that a classifier of the data assigns to the requested class",
    "fidelity/leak": "share of samples that a classifier calls augmented as D sees them; that of real data is best",
    "diversity/gan_train": "share of held-out data that a classifier trained on samples assigns to their class",
    "divergence/intra_frechet": "distance of two Gaussians fitted to features of one class, mean over classes",
    "diversity/intra_coverage": "share of real samples with a generated one of their class nearby, mean over classes",
    "fidelity/intra_density": "density of samples among real ones of their class, mean over classes",
    "diversity/ms_ssim": "structural similarity of two samples of a class; above that of real data is less variety",
    "fidelity/nearest_distance": "distance to the nearest training sample, held-out data = 1; far below 1 is a copy",
    "fidelity/log_likelihood_parzen": "mean log-likelihood of held-out data under a Gaussian around each sample",
    "diversity/per_condition_std": "spread of samples of one condition, data = 1",
    "diversity/spread": "spread of samples",
    "fidelity/sharpness": "sharpness, real data = 1",
    "generator/path_length": "how far a sample moves for a small step of its latent, by LPIPS; small is smooth",
    "transport/cost": "mean squared distance from a latent to its sample, z being as wide as the data",
    "transport/exact": "the least that a map from these latents to as many held-out data could have",
    "transport/excess": "share by which the cost exceeds that of the best pairing of these latents and samples",
    "logits/accuracy": "share of held-out data and samples that D classifies correctly",
    "logits/holdout": "mean logit on held-out data",
}


# Metrics and tags of older versions: what they are called now.
RENAMED = {"class_accuracy": "gan_test", "fidelity/class_accuracy": "fidelity/gan_test"}

# Of a tag with an ending, by the tag without it.
DERIVED = {
    "_se": "standard error of {}",
    "_margin": "half the width of an interval that contains {}",
    "_batch": "{} by a D that classifies samples jointly: larger than that of single ones",
    "_augmented": "{} of data and samples as D sees them",
    "_exact": "{}: the exact value, from the densities",
    "_density": "{} from a histogram of samples: the middle of its error bounds",
}


def meaning(tag: str) -> str:
    """Return what a tag means in a few words; "" if it is unknown."""
    known = (words.format(tag.removesuffix(end)) for end, words in DERIVED.items() if tag.endswith(end))
    return MEANING.get(base(tag)) or next(known, "")


def axis_ends(tag: str) -> dict[str, float]:
    """Return the ends of a quantity's axis, tags of lines with their values; none for one without limits."""
    if tag in JENSEN_SHANNON:
        return {ZERO: 0.0, CEILING: math.log(2)}
    return {ZERO: 0.0, ONE: 1.0} if tag in SHARES + TOTAL_VARIATION else {}


def with_current_names(plain: Any) -> Any:
    """Return plain data of an older version with the names that metrics and tags have now."""
    if isinstance(plain, dict):
        return {RENAMED.get(key, key): with_current_names(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [with_current_names(value) for value in plain]
    return RENAMED.get(plain, plain) if isinstance(plain, str) else plain
