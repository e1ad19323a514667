"""Makes ``python -m parity_lightning`` the command line."""

from parity_lightning.cli import main

if __name__ == "__main__":
    main()
