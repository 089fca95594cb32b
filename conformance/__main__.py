"""``python -m lossproof``."""

from lossproof.cli.main import main

if __name__ == "__main__":
    main()
