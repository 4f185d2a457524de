"""What the game of a whole run is: its objective under the run's packing, conditions, noise and augmentation."""

import torch

from gantrain.config.options import Config
from gantrain.models.layers import AUXILIARY
from gantrain.objectives.base import Logits, Targets


def meaning(config: Config) -> str:
    """Return what D estimates and what G descends in this run, with what else decides what the numbers mean."""
    model, noise, parts = config.model, config.noise, [config.objective.meaning]
    if not config.objective.has_game:
        return parts[0]
    if model.condition not in ("none", AUXILIARY):
        parts.append(
            "D sees pairs of a sample and its condition, and every divergence of its own is of such pairs"
        )
    if model.packing > 1:
        what = f"D sees {model.packing} samples as one, so that its divergences, with tags in _batch, are of packs"
        parts.append(f"{what}: larger than of single samples")
    if model.d_batch_keys:
        parts.append(
            "D sees how its batch varies, so that its divergences, with tags in _batch, are of batches"
        )
    if noise.on_inputs:
        end, until = noise.instance_std_end, ""
        if end is not None:
            moved = "ends" if end == 0 else f"becomes {end:g}"
            until = f" that {moved} at step {noise.anneal_steps or config.optimizer.horizon}"
        parts.append(
            f"D is trained under noise of standard deviation {noise.instance_std:g}{until} and evaluated without"
        )
    if noise.on_labels:
        parts.append("D is trained with noisy labels, and its divergences are computed as if they were clean")
    if config.augment.active:
        what = f"D is trained on data and samples under {config.augment.name} and evaluated without"
        parts.append(f"{what}, but for tags in _augmented")
    return "; ".join(parts)


def chance(config: Config) -> float:
    """Return the expected loss/d of a D whose logits are all 0 under this run's label noise; NaN without a D."""
    objective, noise = config.objective, config.noise
    if not (objective.has_game and noise.on_labels):
        return objective.chance
    zero, smooth = torch.zeros(1), 1 - noise.label_smoothing
    # The loss is linear in the targets, so that those of the mean give the mean.
    real, fake = smooth * (1 - noise.label_flip), smooth * noise.label_flip
    logits = Logits(zero, zero, zero if objective.mismatch_weight > 0 else None)
    return float(objective.d_loss(logits, Targets(zero + real, zero + fake)))
