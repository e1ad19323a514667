"""The page of `parity-lightning report`: what runs, trials, sweeps and experiments found, in one HTML file."""
