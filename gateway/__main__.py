"""`python -m gateway` is the command `consentry`."""

from gateway.cli import main

if __name__ == "__main__":
    main(prog_name="consentry")
