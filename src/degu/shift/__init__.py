"""Distribution shift: sequences unlike those of the training set, and what models say of them."""
