"""What several metrics share: a classifier, quadrature, histograms."""
