"""gantrain trains Generative Adversarial Networks and names the divergence each of them estimates."""

__version__ = "0.1.0"
