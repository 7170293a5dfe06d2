"""Prediction with models from files, for whoever has no study: activities, uncertainty, intervals."""
