"""``python -m m3amba_zoo COMMAND``, where the script ``m3amba`` is not on the path."""

from m3amba_zoo.cli.main import main

if __name__ == "__main__":  # a data worker that is started anew imports this file
    main()
