"""Training of any Keras model on one-hot sequences."""
