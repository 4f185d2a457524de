"""Faults that the config alone shows, whatever the numbers of the run."""

from gantrain.config.moving import ramps
from gantrain.config.options import ENDLESS
from gantrain.tracking.health.case import Case
from gantrain.tracking.health.detector import detector
from gantrain.tracking.health.finding import Finding

LEAST_BATCH = 8  # the smallest of any shipped experiment that plays more than one step
MAX_BETA1 = 0.95  # published GANs use 0 to 0.9 (Radford et al. 2016; Karras et al. 2020)
SPENT = 0.01  # of a learning rate's start, below which nothing is learnt
MOST_OF_START = 0.2  # share of the initial weights in the last average
PIECES = 100  # of a half-life that moves, over which its average is summed


@detector(
    normal="the rates end with the run: optimizer.horizon is train.steps",
    cause="a horizon of a shorter run",
)
def early_end_of_rates(case: Case) -> Finding | None:
    """Learning rates that reach 0 before half of the run is over."""
    steps, rule = case.vitals.steps, ramps(case.config)["optimizer"]
    rates = {player: rule[f"{player}_lr"] for player in case.players if case.rate(player) > 0}
    if steps >= ENDLESS or not rates:
        return None
    spent = [p for p, rate in rates.items() if rate.at(max(rate.warmup, steps // 2)) < SPENT * rate.start]
    if len(spent) < len(rates):
        return None
    horizon = max(rates[p].horizon for p in spent)
    sentence = f"the learning rates end too early (optimizer.horizon={horizon} of {steps:,} steps)"
    return Finding(
        "rates ended", sentence, (f"optimizer.horizon={steps}", "optimizer.schedule=constant"), True
    )


@detector(normal="32 to 512", cause="too few samples for D's gradient to mean anything")
def batch_too_small(case: Case) -> Finding | None:
    """Batches of so few samples that each gradient is mostly noise."""
    size = case.config.train.batch_size
    if size >= LEAST_BATCH or not case.config.objective.has_game or case.subject.data_std == 0:
        return None
    sentence = f"the batch is too small (train.batch_size={size})"
    words = tuple(f"train.batch_size={n}" for n in (64, 32) if n <= case.subject.n_train)
    return Finding("batch too small", sentence, words, is_certain=True)


@detector(
    normal="0 to 0.9",
    cause="momentum over so many steps carries both players past each other",
)
def beta1_too_high(case: Case) -> Finding | None:
    """A momentum so long that each player answers moves that the other has long undone."""
    beta1 = getattr(case.config.optimizer, "beta1", 0.0)
    if beta1 < MAX_BETA1 or not case.config.objective.has_game:
        return None
    sentence = (
        f"Adam's momentum is too long (optimizer.beta1={beta1:g}, a mean of {1 / (1 - beta1):.0f} steps)"
    )
    return Finding("beta1 too high", sentence, ("optimizer.beta1=0.5", "optimizer.beta1=0"), is_certain=True)


@detector(
    normal=f"below {MOST_OF_START:.0%} of the initial weights in the last average",
    cause="train.ema_half_life counts images, and is longer than the run",
)
def average_too_slow(case: Case) -> Finding | None:
    """An average of G's weights that still holds most of the untrained G at the end."""
    train = case.config.train
    half_life, steps = train.ema_half_life, case.vitals.steps
    if half_life is None or steps >= ENDLESS:
        return None
    ramp = ramps(case.config)["train"].get("ema_half_life")
    images = steps * train.batch_size
    left = [float(half_life) if ramp is None else ramp.at(i * steps // PIECES) for i in range(PIECES)]
    share = 0.5 ** sum(images / PIECES / one if one > 0 else 1e3 for one in left)
    if share < MOST_OF_START:
        return None
    sentence = (
        f"the average of G's weights is too slow (train.ema_half_life={half_life:g} images of {images:,} leaves "
        f"{share:.0%} of the untrained G in the last average)"
    )
    return Finding("average too slow", sentence, (f"train.ema_half_life={images // 50}",), is_certain=True)


@detector(normal="train.ema=0.99 to 0.9999", cause="the config")
def average_off(case: Case) -> Finding | None:
    """Samples of G's last step alone, which in a game are by chance good or bad."""
    if case.config.train.ema > 0 or case.config.train.ema_half_life is not None:
        return None
    if not case.config.objective.has_game or not case.vitals.signs:
        return None
    sentence = "samples are those of G's last step, no average, as train.ema=0 says"
    return Finding("average off", sentence, ("train.ema=0.999",), is_certain=True, is_fault=False)
