"""The parts of a run of the benchmarks, one file each: `measure(options)` yields tables."""
