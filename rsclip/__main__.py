"""`python -m rsclip`: the `rsclip` command."""

from rsclip_cli.main import main

if __name__ == "__main__":
    main()
