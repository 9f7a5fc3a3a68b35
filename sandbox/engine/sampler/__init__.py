"""The sampler: one process that answers requests with models in memory."""
