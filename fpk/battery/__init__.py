"""Black-box examinations of samplers, kernels, likelihoods and fields that somebody else wrote."""
