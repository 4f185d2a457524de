"""What the claims about speed rest on: `python -m benchmarks`, and `python -m benchmarks.gpu` on a CUDA machine."""
