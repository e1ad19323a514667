"""Hidden progress: weight movement and the Fourier gap along SGD, on a parity and on random labels (Figure 3)."""
