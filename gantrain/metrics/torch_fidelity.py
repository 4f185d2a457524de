"""The scores that papers print, as torch-fidelity computes them."""

from dataclasses import dataclass

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.frechet_distance import frechet, why_too_few
from gantrain.registry import option, register

SUBSETS, SUBSET = 100, 1000  # of KID, and samples in each
ROWS = 1000  # of the matrix of distances in memory at a time
NEIGHBOUR = 3  # whose distance is the radius of a ball, of precision and recall
SPLITS = 10  # of the Inception score


@register("metric")
@dataclass
class TorchFidelity(Metric):
    """FID, KID, Inception score, precision and recall with the settings and arithmetic of torch-fidelity's defaults.

    FID is Heusel et al. 2017, KID the mean over 100 subsets of 1,000 samples with their standard deviation (Binkowski
    et al. 2018), precision and recall are those of Kynkaanniemi et al. 2019 with the third neighbour. The Inception
    score (Salimans et al. 2016) is that of a network that has class scores, ``features=inception``.
    """

    name: str = option("torch_fidelity", "registered name")
    reads_features = True
    tags = (
        "divergence/fid",
        "divergence/kid",
        "divergence/kid_sd",
        "fidelity/precision_3nn",
        "diversity/recall_3nn",
        "fidelity/inception_score",
        "fidelity/inception_score_sd",
    )

    def why_unsupported(self, run: RunSpec) -> str | None:
        if not run.features.is_published:
            return "published scores are read from a network that others have too: set features=inception"
        return why_too_few(run)

    def expected_tags(self, run: RunSpec) -> list[str]:
        return [tag for tag in self.tags if run.features.has_logits or "inception_score" not in tag]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        from torch_fidelity import __version__

        size = min(SUBSET, evaluation.n)
        return super().protocol(evaluation) | {
            "torch_fidelity": __version__,
            "kid": f"{SUBSETS} subsets of {size}, (x.y/d + 1)^3, unbiased",
            "precision_recall": f"neighbour {NEIGHBOUR}",
            "inception_score": f"{SPLITS} splits",
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        from torch_fidelity.metric_isc import isc_features_to_metric
        from torch_fidelity.metric_kid import kid_features_to_metric
        from torch_fidelity.metric_prc import prc_features_to_metric

        real, fake = (x.cpu() for x in evaluation.features_of_sides)
        n, settings = len(fake), {"verbose": False}
        size = min(SUBSET, n, len(real))
        pair = fake.float(), real.float()  # torch-fidelity's own precision
        kid = kid_features_to_metric(*pair, kid_subsets=SUBSETS, kid_subset_size=size, **settings)
        # Distances of ROWS samples at a time, with the same result.
        memory = {"save_cpu_ram": True, "prc_batch_size": ROWS}
        balls = prc_features_to_metric(*pair, prc_neighborhood=NEIGHBOUR, **memory, **settings)
        # A floor has fewer samples where few are held out, and may have no covariance.
        fid = {"divergence/fid": frechet(real, fake)} if min(n, len(real)) > real.shape[1] else {}
        values = {
            **fid,
            "divergence/kid": kid["kernel_inception_distance_mean"],
            "divergence/kid_sd": kid["kernel_inception_distance_std"],
            "fidelity/precision_3nn": balls["precision"],
            "diversity/recall_3nn": balls["recall"],
        }
        if evaluation.feature_source.has_logits:
            logits = evaluation.extractor.logits(pair[0].to(evaluation.device))
            score = isc_features_to_metric(logits.cpu(), SPLITS)
            values["fidelity/inception_score"] = score["inception_score_mean"]
            values["fidelity/inception_score_sd"] = score["inception_score_std"]
        return {tag: Estimate(value, n=n) for tag, value in values.items()}
