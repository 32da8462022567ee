"""`python -m es_randomized` is the command es-randomized."""

from es_randomized.cli.main import main

if __name__ == "__main__":
    main()
