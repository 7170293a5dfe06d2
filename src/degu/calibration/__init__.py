"""How good an uncertainty is: laws of predictions, their scores, and their recalibration.

:mod:`~degu.calibration.laws` has what a model claims of a measurement;
:mod:`~degu.calibration.scores` compares the claim with what was measured;
:mod:`~degu.calibration.recalibration` repairs it by validation sequences alone;
:mod:`~degu.calibration.bootstrap` bounds a number by resampled sequences;
:mod:`~degu.calibration.fidelity` is about the std of ensembles, not about measurements.

All of one target, float64, with N sequences in the last axis.
"""
