"""Prediction with models from files, for whoever has no study: activity, uncertainty, intervals."""
