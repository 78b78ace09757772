"""``python -m mailegress``."""

from mailegress.cli.main import app

if __name__ == "__main__":
    app(prog_name="mailegress")
