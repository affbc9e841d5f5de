"""`python -m onelayer` is the command `onelayer`."""

from onelayer.cli import main

if __name__ == "__main__":
    main()
