"""`python -m ztlink`."""

from ztlink.cli import main

if __name__ == "__main__":
    main()
